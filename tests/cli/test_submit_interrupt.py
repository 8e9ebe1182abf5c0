"""``raysel submit`` that is interrupted: the job goes on, and its submitter says where to look."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.typed import raysel_here


class Waiting:
    """A server whose job is watched until somebody presses Ctrl-C."""

    def __init__(self, address: str | None) -> None:
        assert address == "http://127.0.0.1:1"

    def submit(self, *_: object) -> None:
        """Accepts it."""

    def state(self, _: str) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_leaves_the_job_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raysel.pipeline.operations.job_server.JobServer", Waiting)
    lines = [
        'out = "s3://key:secret1234@bucket/index"',
        "[network]",
        'network = "a:b"',
        "[source]",
        'images = "s3://b/c"',
    ]
    (tmp_path / "run.toml").write_text("\n".join(lines))
    ended = raysel_here(tmp_path, "submit", "--config", "run.toml", "--address", "http://127.0.0.1:1")
    assert (ended.status, ended.out) == (130, "")
    assert "the job keeps running; follow it with raysel status s3://bucket/index\n" in ended.err
    assert "secret1234" not in ended.err
