"""Where a scan decodes, and how many actors of which size it has. The result does not depend on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raysel.config import ScanConfig
from raysel.errors import RayselError
from raysel.pipeline.cluster import Cluster

_ACTOR_CPUS = 0.9
"""An actor on a CPU keeps nearly a whole core busy; the rest is for reading and merging, which mostly wait."""


@dataclass(frozen=True)
class ScanLayout:
    """The actors of a scan."""

    workers: int
    """Actors in the pool."""
    batch: int
    """Images in one forward."""
    gpu: bool
    """True: each actor holds a GPU, and CPU tasks decode. False: the actors decode for themselves."""
    device: str
    """``cuda``, or ``cpu``, which tests also use beside a pretended GPU."""

    @property
    def actor_resources(self) -> dict[str, Any]:
        """What an actor holds, as options of ``ray.remote``."""
        return {"num_gpus": 1} if self.gpu else {"num_cpus": _ACTOR_CPUS}

    def room(self, cluster: Cluster) -> int:
        """How many of the actors the cluster has room for, if nothing else runs there."""
        return min(self.workers, cluster.gpus if self.gpu else cluster.cpus)

    @classmethod
    def of(cls, config: ScanConfig, cluster: Cluster, calls: int) -> ScanLayout:
        """The layout that the configuration asks for on this cluster, for so many calls of actors.

        By default it has an actor for each CPU, but not more than there are calls: each takes seconds to start.

        Raises:
            RayselError: a local Ray has fewer GPUs or CPUs than there are to be actors (a cluster may grow), there is
                no CPU, or ``device`` is ``cuda`` without GPUs.
        """
        if config.gpus:
            if config.gpus > cluster.gpus and not cluster.grows:
                raise RayselError(
                    f"--gpus {config.gpus}, but this machine has {cluster.gpus} GPUs: ask for at most that many"
                )
            device = "cuda" if config.device == "auto" else config.device
            return cls(config.gpus, forward_batch(config), gpu=True, device=device)
        if config.device == "cuda":
            raise RayselError("--device cuda without --gpus: give the number of actors that each get a GPU")
        if cluster.cpus < 1 and not config.workers:
            raise RayselError(
                "the cluster has no CPU to scan on: add a machine, or give --workers or --gpus to wait for one"
            )
        workers = config.workers or min(cluster.cpus, max(calls, 1))
        if workers > cluster.cpus and not cluster.grows:
            raise RayselError(
                f"--workers {workers}, but this Ray has {cluster.cpus} CPUs: ask for at most that many, or give it "
                "more with --num-cpus"
            )
        return cls(workers, forward_batch(config), gpu=False, device="cpu")


def scan_calls(config: ScanConfig, images: int) -> int:
    """Calls of actors that a scan of so many images takes."""
    return -(-images // config.call_images)


def forward_batch(config: ScanConfig) -> int:
    """Images in one forward: few on a CPU, to stay in its cache; many on a GPU, to fill it."""
    return config.batch_size or (64 if config.gpus else 16)
