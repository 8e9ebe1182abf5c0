"""A run of ``raysel index`` as a job: the file that describes it travels with the code that it needs."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raysel.config import RunConfig
from raysel.errors import RayselError
from raysel.marks import map_paths
from raysel.pipeline.operations.job_following import ClusterJob

_CONFIG_NAME = "run.toml"


def check_for_cluster(config: RunConfig, working_dir: Path | None = None) -> None:
    """Fail if a run cannot be a job.

    Args:
        config: the run's configuration.
        working_dir: see `index_job`.

    Raises:
        RayselError: it lacks a network, images or a place for the index; it would write the index into the job's copy
            of the working directory, which Ray deletes; or it names a file that only this machine has.
    """
    config.check()
    needed = {"network.network": config.network.network, "source.images": config.source.images, "out": config.out}
    if missing := [option for option, value in needed.items() if not value]:
        raise RayselError(f"nothing to index without {', '.join(missing)}: set it in the file of --config")
    if "://" not in config.out and not os.path.isabs(config.out):
        raise RayselError(
            f"out is {config.out!r}, but a job runs in a temporary folder: set a URI such as s3://bucket/index, or an "
            "absolute path that all machines share"
        )

    def check(path: str) -> str:
        relative = "://" not in path and not os.path.isabs(path)
        if relative and os.path.exists(path) and not (working_dir and (working_dir / path).exists()):
            raise RayselError(f"{path!r} is on this machine only: set a URI, or move it into the --working-dir")
        return path

    map_paths(config, check)


@contextmanager
def index_job(config: Path, working_dir: Path | None, as_json: bool) -> Iterator[ClusterJob]:
    """The job that indexes what a file describes.

    Args:
        config: TOML file of the run.
        working_dir: folder with the code of the run's own network, which is copied to all machines. The file must be in
            it. By default only the file is copied.
        as_json: the job prints its outcome as JSON.

    Raises:
        RayselError: the file is outside of the folder, or the folder does not exist.
    """
    with tempfile.TemporaryDirectory(prefix="raysel-job-") as folder:
        if working_dir is None:
            shutil.copyfile(config, Path(folder, _CONFIG_NAME))
            place, name = Path(folder), _CONFIG_NAME
        else:
            place, name = working_dir.resolve(), _inside(config, working_dir)
        command = ["python", "-m", "raysel", "index", "--config", name, *(["--json"] if as_json else [])]
        yield ClusterJob(f"raysel-{uuid.uuid4().hex[:12]}", shlex.join(command), place)


def _inside(config: Path, folder: Path) -> str:
    if not folder.is_dir():
        raise RayselError(f"{folder} is not a folder: give another --working-dir")
    try:
        return config.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        raise RayselError(
            f"{config} is not in {folder}: a job sees only what is in --working-dir, so move it"
        ) from None
