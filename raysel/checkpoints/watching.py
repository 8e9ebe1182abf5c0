"""One pass over a training run's checkpoints: those that are new and complete are indexed, one after another."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field

from raysel.checkpoints.attempts import WATCH_FOLDER, Attempt, Attempts
from raysel.checkpoints.checkpoint import Checkpoint
from raysel.checkpoints.indexing import Indexing
from raysel.checkpoints.keeping import surplus, worth_indexing
from raysel.config import RunConfig
from raysel.files import Folder, join_uri, redact_uri
from raysel.marks import Enters, marked
from raysel.pipeline.cluster import Connection
from raysel.pipeline.progress import Reporter
from raysel.store import HeldError, locked


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
    together: int = 1
    """Most checkpoints that are scanned in one pass over the images."""


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
            cluster = stack.enter_context(Connection(watch.config.cluster))
            work = Indexing(watch.config, watch.indexes, settings, reporter, lock, attempts, cluster)
            left = _due(watch, due, attempts, settings)  # another watcher may have done some meanwhile
            for start in range(0, len(left), watch.together):
                done.attempts += work.take(left[start : start + watch.together])
            work.remove_surplus(watch.keep)
    except HeldError:
        attempts, done.busy = Attempts.read(folder), f"another watcher is at work on {folder.shown}"
    return attempts


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
