"""One pass over a training run's checkpoints: those that are new and complete are indexed, one after another."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from raysel.checkpoints.attempts import WATCH_FOLDER, Attempt, Attempts, pause_after
from raysel.checkpoints.checkpoint import Checkpoint
from raysel.checkpoints.keeping import remove_index, surplus, worth_indexing
from raysel.checkpoints.weights_content import WeightsContent, read_content
from raysel.config import RunConfig
from raysel.errors import RayselError, type_and_first_line
from raysel.files import Folder, join_uri, redact_uri
from raysel.marks import Enters, marked
from raysel.pipeline.cluster import connected
from raysel.pipeline.progress import Reporter
from raysel.pipeline.run import index
from raysel.store import HeldError, RunLock, locked


@dataclass(frozen=True)
class Watch:
    """What to watch, and how to index it."""

    find: Callable[[], list[Checkpoint]]
    """Lists the checkpoints that are there now."""
    indexes: str
    """Path or URI of the folder of the indexes."""
    config: RunConfig
    """Of each index, apart from its weights and its place."""
    settle_s: float = 10.0
    """Seconds for which a checkpoint must not change before it counts as complete."""
    keep: int | None = None
    """Number of newest steps whose indexes are kept; None keeps all."""


@dataclass
class WatchPass:
    """What a pass found and did."""

    checkpoints: int
    growing: list[str] = field(default_factory=list)
    """Checkpoints, without secrets, that changed during the pass, or that were there no longer."""
    attempts: list[Attempt] = field(default_factory=list)
    """Those of this pass, in order."""
    failed: list[Attempt] = field(default_factory=list)
    """The newest attempts at checkpoints that are there and have failed, also in earlier passes."""
    busy: str | None = None
    """Why nothing was done: another watcher is at work."""


def look(watch: Watch, reporter: Reporter) -> WatchPass:
    """Index the checkpoints that are new, one after another.

    A pass may be killed at any moment, and repeated by any process: each checkpoint is indexed once. Of several
    watchers over one folder of indexes, one works at a time.

    Raises:
        RayselError: the checkpoints cannot be listed, the indexes cannot be written, or no Ray cluster answers. A
            checkpoint that cannot be indexed does not end the pass: its `Attempt` has the reason.
    """
    folder = Folder.at(watch.indexes).require_readable()
    settings = _settings_digest(watch.config)
    found, attempts = watch.find(), Attempts.read(folder)
    due = _due(watch, found, attempts, settings)
    done = WatchPass(len(found))
    if due:
        due, done.growing = _settled(watch, due)
    if due or surplus(attempts, watch.keep):
        attempts = _work(watch, due, settings, reporter, done)
    here = {redact_uri(each.uri) for each in found}
    done.failed = [each for uri, each in attempts.known.items() if uri in here and each.state == "failed"]
    return done


def _due(watch: Watch, found: list[Checkpoint], attempts: Attempts, settings: str) -> list[Checkpoint]:
    return [each for each in worth_indexing(found, attempts, watch.keep) if attempts.due(each, settings)]


def _settled(watch: Watch, due: list[Checkpoint]) -> tuple[list[Checkpoint], list[str]]:
    """The checkpoints that a second look finds unchanged, and the others."""
    time.sleep(watch.settle_s)
    now = {each.uri: each.version for each in watch.find()}
    growing = [redact_uri(each.uri) for each in due if now.get(each.uri) != each.version]
    return [each for each in due if now.get(each.uri) == each.version], growing


def _work(watch: Watch, due: list[Checkpoint], settings: str, reporter: Reporter, done: WatchPass) -> Attempts:
    """Index what is due and remove what is not kept, while no other watcher does; returns the attempts as they are
    then."""
    folder = Folder.at(watch.indexes)
    try:
        with ExitStack() as stack:
            lock = stack.enter_context(locked(Folder.at(join_uri(watch.indexes, WATCH_FOLDER)), reporter.say))
            attempts = Attempts.read(folder)
            cluster = cache(lambda: stack.enter_context(connected(watch.config.cluster)))
            work = _Pass(watch, settings, reporter, lock, attempts, cluster)
            for checkpoint in _due(watch, due, attempts, settings):  # another watcher may have done some meanwhile
                done.attempts.append(work.take(checkpoint))
            work.remove_surplus()
    except HeldError:
        attempts, done.busy = Attempts.read(folder), f"another watcher is at work on {folder.shown}"
    return attempts


@dataclass(frozen=True)
class _Pass:
    """A pass that holds the watchers' lock."""

    watch: Watch
    settings: str
    reporter: Reporter
    lock: RunLock
    attempts: Attempts
    cluster: Callable[[], object]
    """Connects to Ray at the first call."""

    def take(self, checkpoint: Checkpoint) -> Attempt:
        """Index one checkpoint, and record what became of it."""
        self.reporter.say(f"watch: {redact_uri(checkpoint.uri)}")
        attempt = self._attempt(checkpoint)
        self.lock.confirm()
        self.attempts.put(attempt)
        if attempt.state != "indexed":
            self.reporter.say(f"watch: {attempt.state}: {attempt.reason}")
        return attempt

    def remove_surplus(self) -> None:
        for attempt in surplus(self.attempts, self.watch.keep):
            self.lock.confirm()
            assert attempt.index is not None, "an attempt that is indexed has an index"
            remove_index(self.attempts, attempt.index)
            self.attempts.put(attempt.model_copy(update={"state": "removed"}))
            self.reporter.say(f"watch: removed {attempt.index}")

    def _attempt(self, checkpoint: Checkpoint) -> Attempt:
        content: WeightsContent | None = None
        try:
            content = read_content(checkpoint.uri, self.watch.config.network)
        except Exception as error:
            return self._failed(checkpoint, None, error)
        if twin := self.attempts.twin(checkpoint, content.digest, self.settings):
            reason = f"the weights of {twin.checkpoint}"
            return self._made(checkpoint, content, state="copy", index=twin.index, reason=reason)
        self.cluster()
        try:
            name = self._index(checkpoint, content)
        except Exception as error:
            return self._failed(checkpoint, content, error)
        return self._made(checkpoint, content, state="indexed", index=name)

    def _index(self, checkpoint: Checkpoint, content: WeightsContent) -> str:
        """Index a checkpoint; returns the name of its folder."""
        step = content.step if checkpoint.step is None else checkpoint.step
        name = checkpoint.name if step is None else f"step-{step:09d}-{checkpoint.name}"
        config, out = self.watch.config, join_uri(self.watch.indexes, name)
        written_again = self._last_index(checkpoint) == name
        own = replace(config.network, weights=checkpoint.uri)
        index(replace(config, out=out, replace=config.replace or written_again, network=own), self.reporter)
        return name

    def _last_index(self, checkpoint: Checkpoint) -> str | None:
        """Folder of the index that the same options gave to this checkpoint before; None if there is none.

        With other options it is not replaced unless the configuration says so.
        """
        last = self.attempts.of(checkpoint)
        return last.index if last and last.state != "copy" and last.settings == self.settings else None

    def _failed(self, checkpoint: Checkpoint, content: WeightsContent | None, error: Exception) -> Attempt:
        last = self.attempts.of(checkpoint)
        again = last is not None and (last.version, last.settings) == (checkpoint.version, self.settings)
        failures = last.failures + 1 if last and again else 1
        return self._made(
            checkpoint,
            content,
            state="failed",
            index=self._last_index(checkpoint),
            reason=str(error) if isinstance(error, RayselError) else type_and_first_line(error),
            failures=failures,
            retry_at=datetime.now(UTC) + pause_after(failures),
        )

    def _made(self, checkpoint: Checkpoint, content: WeightsContent | None, **more: Any) -> Attempt:
        step = content.step if content and checkpoint.step is None else checkpoint.step
        return Attempt(
            name=checkpoint.name,
            checkpoint=redact_uri(checkpoint.uri),
            version=checkpoint.version,
            settings=self.settings,
            at=datetime.now(UTC),
            step=step,
            digest=content.digest if content else None,
            **more,
        )


def _settings_digest(config: RunConfig) -> str:
    """Digest of the options that an index depends on, without the weights."""
    stages = (config.source, config.network, config.scan, config.derive)
    values = [
        {name: value for name, value in marked(stage, mark).items() if name != "weights"}
        for stage in stages
        for mark in Enters
        if mark is not Enters.NONE
    ]
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=asdict).encode()).hexdigest()[:16]
