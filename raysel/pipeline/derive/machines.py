"""What derive does once on every machine: fill its disk with decoded inputs, and clear it at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from operator import itemgetter

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysel.pipeline.derive.inputs import Cost, Inputs
from raysel.pipeline.derive.task_runner import TaskRunner

FILL_IMAGES = 128
"""Images that one task decodes onto its machine's disk."""
_REMOVE_S = 60

_prepare = ray.remote(num_cpus=1)(Inputs.prepare)
_fill = ray.remote(num_cpus=1)(Inputs.fill)
_remove = ray.remote(num_cpus=0)(Inputs.remove)


def fill_machines(inputs: Inputs, shared: ray.ObjectRef, runner: TaskRunner, say: Callable[[str], None]) -> Cost:
    """Decode the inputs onto every machine's disk, as many as have a place there. `shared`: the inputs in Ray."""
    spent = Cost()
    if not inputs.most:
        return spent
    started = runner.results(deque(_nodes()), lambda node: runner.task(_prepare, **_on(node)).remote(shared))
    places = dict(started)
    if (fewest := min(places.values(), default=inputs.most)) < inputs.most:
        say(
            f"derive: the temporary folder has space for {fewest:,} of {inputs.most:,} decoded images; the others are "
            "decoded whenever they are needed (set TMPDIR to a larger disk to avoid it)"
        )
    parts = [
        (number, node, part)
        for node, count in places.items()
        for number, part in enumerate(inputs.parts(count, FILL_IMAGES))
    ]
    in_turn = deque(sorted(parts, key=itemgetter(0)))  # so that no machine waits for another
    for _, cost in runner.results(in_turn, lambda job: runner.task(_fill, **_on(job[1])).remote(shared, job[2])):
        spent.add(cost)
    return spent


def clear_machines(shared: ray.ObjectRef) -> None:
    """Remove the inputs from every machine's disk. A machine that does not answer is cleared by a later run."""
    removing = [_remove.options(**_on(node)).remote(shared) for node in _nodes()]
    ray.wait(removing, num_returns=len(removing), timeout=_REMOVE_S)


def _nodes() -> list[str]:
    """Ids of the machines that can run a CPU task."""
    return [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]


def _on(node: str) -> dict[str, NodeAffinitySchedulingStrategy]:
    """Options of a task for a machine. If the machine is gone by then, another runs the task."""
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=True)}
