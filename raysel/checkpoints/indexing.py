"""Indexing checkpoints, one after another or scanned together, and recording what became of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from raysel.checkpoints.attempts import Attempt, Attempts, pause_after, place_digest
from raysel.checkpoints.checkpoint import Checkpoint
from raysel.checkpoints.keeping import surplus
from raysel.checkpoints.weights_content import WeightsContent, read_content
from raysel.config import RunConfig
from raysel.errors import RayselError, type_and_first_line
from raysel.files import Folder, join_uri, redact_uri
from raysel.pipeline.progress import Reporter
from raysel.pipeline.run import index
from raysel.pipeline.scan.together import scan_together
from raysel.store import RunLock, files_of_others


@dataclass(frozen=True)
class Indexing:
    """A pass that holds the watchers' lock."""

    config: RunConfig
    """Of each index, apart from its weights and its place."""
    indexes: str
    """Path or URI of the folder of the indexes."""
    settings: str
    """Digest of the options that an index depends on."""
    reporter: Reporter
    lock: RunLock
    attempts: Attempts
    cluster: Callable[[], object]
    """Connects to Ray at the first call."""

    def take(self, checkpoints: list[Checkpoint]) -> list[Attempt]:
        """Index some checkpoints, and record what became of each."""
        read = [(each, self._read(each)) for each in checkpoints]
        if len(read) > 1:
            self._scan_together(read)
        return [self._take(each, content) for each, content in read]

    def _take(self, checkpoint: Checkpoint, content: WeightsContent | Exception) -> Attempt:
        self.reporter.say(f"watch: {redact_uri(checkpoint.uri)}")
        attempt = self._attempt(checkpoint, content)
        self.lock.confirm()
        self.attempts.put(attempt)
        if attempt.state != "indexed":
            self.reporter.say(f"watch: {attempt.state}: {attempt.reason}")
        return attempt

    def _read(self, checkpoint: Checkpoint) -> WeightsContent | Exception:
        try:
            content = read_content(checkpoint.uri, self.config.network)
            self._check_place(self._config(checkpoint, content).out)
        except Exception as error:
            return error
        return content

    def _check_place(self, out: str) -> None:
        """Fail if an index would get into a folder with other files, which are not ours to remove later."""
        folder = Folder.at(out)
        if others := files_of_others(folder):
            raise RayselError(
                f"{folder.shown} has other files in it ({others[0]}): move them away, or choose another folder for "
                "--indexes"
            )

    def _scan_together(self, read: list[tuple[Checkpoint, WeightsContent | Exception]]) -> None:
        """Scan those that need it in one pass; what fails here is left to each by itself, which says why."""
        new: dict[str, RunConfig] = {}
        for checkpoint, content in read:
            if isinstance(content, WeightsContent):
                twin = self.attempts.twin(checkpoint, content.digest, self.settings)
                if twin is None and content.digest not in new:
                    new[content.digest] = self._config(checkpoint, content)
        if len(new) > 1:
            self.cluster()
            try:
                scan_together(list(new.values()), self.reporter)
            except Exception as error:
                self.reporter.say(f"watch: not scanned together: {type_and_first_line(error)}")

    def remove_surplus(self, keep: int | None) -> None:
        """Remove the indexes that are older than the `keep` newest steps."""
        for attempt, index_name in surplus(self.attempts, keep):
            self.lock.confirm()
            self.attempts.remove_index(attempt, index_name)
            self.reporter.say(f"watch: removed {index_name}")

    def _attempt(self, checkpoint: Checkpoint, content: WeightsContent | Exception) -> Attempt:
        if isinstance(content, Exception):
            return self._failed(checkpoint, None, content)
        if twin := self.attempts.twin(checkpoint, content.digest, self.settings):
            reason = f"the weights of {twin.checkpoint}"
            return self._made(checkpoint, content, state="copy", index=twin.index, reason=reason)
        self.cluster()
        try:
            index(self._config(checkpoint, content), self.reporter)
        except Exception as error:
            return self._failed(checkpoint, content, error)
        return self._made(checkpoint, content, state="indexed", index=self._index_name(checkpoint, content))

    def _config(self, checkpoint: Checkpoint, content: WeightsContent) -> RunConfig:
        config, name = self.config, self._index_name(checkpoint, content)
        written_again = self._last_index(checkpoint) == name
        return replace(
            config,
            out=join_uri(self.indexes, name),
            replace=config.replace or written_again,
            network=replace(config.network, weights=checkpoint.uri),
        )

    def _index_name(self, checkpoint: Checkpoint, content: WeightsContent) -> str:
        """Folder of its index, below the folder of the indexes. It ends with a digest of the place of the checkpoint if
        another one with the same name and step has an index."""
        step, uri = _step(checkpoint, content), redact_uri(checkpoint.uri)
        name = checkpoint.name if step is None else f"step-{step:09d}-{checkpoint.name}"
        others = (each for place, each in self.attempts.known.items() if place != uri and each.state != "copy")
        taken = any(name == each.index or name in each.earlier for each in others)
        return f"{name}-{place_digest(uri)}" if taken else name

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
        return Attempt(
            name=checkpoint.name,
            checkpoint=redact_uri(checkpoint.uri),
            version=checkpoint.version,
            settings=self.settings,
            at=datetime.now(UTC),
            step=_step(checkpoint, content),
            digest=content.digest if content else None,
            **more,
        )


def _step(checkpoint: Checkpoint, content: WeightsContent | None) -> int | None:
    return content.step if content and checkpoint.step is None else checkpoint.step
