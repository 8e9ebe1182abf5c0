"""Ray clusters of several simulated machines on this one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

QUICK_TO_NOTICE = {
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_MEMORY = {"object_store_memory": 100 << 20}


@contextmanager
def machines(count: int, head_cpus: int = 0) -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster`: a head with `head_cpus` CPUs and `count` machines with one CPU each."""
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="rs-", dir="/tmp")  # Ray's sockets need a short path
    with (
        mock.patch.dict(os.environ, QUICK_TO_NOTICE),
        # Otherwise every Ray on this machine that looks for a cluster would find this one.
        mock.patch("ray._private.utils.write_ray_address"),
        mock.patch("ray._common.utils.reset_ray_address"),
    ):
        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": head_cpus, "include_dashboard": False, "temp_dir": folder, **_MEMORY},
        )
        try:
            for _ in range(count):
                add_machine(cluster)
            yield cluster
        finally:
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def add_machine(cluster: Any) -> None:
    """One more machine with one CPU."""
    cluster.add_node(num_cpus=1, temp_dir=cluster.head_node.get_temp_dir_path(), **_MEMORY)


@contextmanager
def one_machine(cpus: int) -> Iterator[str]:
    """The address of a Ray with this number of CPUs, whatever the machine has."""
    with machines(0, head_cpus=cpus) as cluster:
        yield cluster.address
