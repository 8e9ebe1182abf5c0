"""The Ray that a run uses: an existing one, or a local one that ends with the run."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import ray

from raysel.config import ClusterConfig
from raysel.errors import RayselError
from raysel.pipeline.cluster.ray_settings import settled
from raysel.pipeline.cluster.ray_start import ray_running

_FULL_BYTES = 10 << 20
"""A disk with less free space is full."""


@dataclass(frozen=True)
class Cluster:
    """Resources of a cluster."""

    cpus: int
    gpus: int
    session: str | None = None
    """Folder in which a local Ray keeps its session; None if the Ray is not the run's own."""
    machines: frozenset[str] = frozenset()
    """Ray's ids of the machines."""

    @property
    def grows(self) -> bool:
        """True if machines may join."""
        return self.session is None

    def check_disk(self) -> None:
        """Fail if the session's disk is full: Ray's workers would die there, and be started again without end.

        Raises:
            RayselError: the disk is full.
        """
        if self.session and shutil.disk_usage(self.session).free < _FULL_BYTES:
            raise RayselError(
                f"the disk of {self.session}, where Ray keeps its session, is full: free some space or choose another "
                "folder with --temp-dir, and run again to resume"
            )


def cluster_now() -> Cluster:
    """Resources of the machines that are alive now."""
    nodes = [node for node in ray.nodes() if node["Alive"]]

    def total(resource: str) -> int:
        return int(sum(node["Resources"].get(resource, 0) for node in nodes))

    return Cluster(total("CPU"), total("GPU"), machines=frozenset(node["NodeID"] for node in nodes))


class Connection:
    """Ray for the time of a run; a context. It takes seconds to connect, in which the caller may do other work.

    A Ray that this process is already connected to is used and left alone; else the cluster at ``config.address``, else
    the one at $RAY_ADDRESS; else a local Ray is started, with its own temporary folder, and ended.
    """

    def __init__(self, config: ClusterConfig, *, verbose: bool = False) -> None:
        self._config, self._verbose = config, verbose
        self._thread: threading.Thread | None = None
        self._ready, self._over = threading.Event(), threading.Event()
        self._session: str | None = None
        self._fault: BaseException | None = None
        self._settled = False
        self._settings = ExitStack()

    def begin(self) -> None:
        """Begin to connect, in the background."""
        if self._thread is None and not ray.is_initialized():
            self._thread = threading.Thread(target=self._hold, name="raysel-ray", daemon=True)
            self._thread.start()

    def __call__(self) -> Cluster:
        """The cluster as it is now. Waits for the connection.

        Raises:
            RayselError: no cluster answers at the address, or no local Ray starts.
        """
        if not self._settled:
            self.begin()
            if self._thread is not None:
                self._ready.wait()
            if self._fault is not None:
                raise self._fault
            _take_sigterm_back()
            self._settings.enter_context(settled(self._verbose))
            self._settled = True
        return replace(cluster_now(), session=self._session)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._settings.close()
        if self._thread is not None:
            self._over.set()
            self._thread.join()

    def _hold(self) -> None:
        """Hold the connection until the context ends: Linux ends Ray's processes with the *thread* that starts them."""
        try:
            with ray_running(self._config, self._verbose) as self._session:
                self._ready.set()
                self._over.wait()
        except BaseException as error:
            self._fault = error
        finally:
            self._ready.set()


def _take_sigterm_back() -> None:
    """Give SIGTERM to Python's handler again: Ray's core has put one in front of it that prints a stack trace."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))


@contextmanager
def connected(config: ClusterConfig, *, verbose: bool = False) -> Iterator[Cluster]:
    """A `Connection` that is needed at once.

    Raises:
        RayselError: no cluster answers at the address, or no local Ray starts.
    """
    with Connection(config, verbose=verbose) as connection:
        yield connection()
