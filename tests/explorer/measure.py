"""Times of the explorer over an index of 30,000 synthetic neurons: ``python -m tests.explorer.measure FOLDER``.

The index is made on the first call. The server runs in a process of its own; all times are those of a visitor.
"""

from __future__ import annotations

import random
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

from tests.store.synthetic import Layer, build

LAYERS = tuple(Layer(f"conv{depth}", 2_000, 7 if depth < 10 else 24, 2) for depth in range(1, 16))
AT_ONCE = 200
_REPEATS = 20


def timed(url: str) -> float:
    """Milliseconds until the whole answer is there."""
    start = time.perf_counter()
    with urlopen(url, timeout=120) as answer:
        answer.read()
    return 1000 * (time.perf_counter() - start)


def memory_mb(process: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def main(folder: Path) -> None:
    """Print a line per measure."""
    if not (folder / "manifest.json").exists():
        start = time.perf_counter()
        build(folder, LAYERS)
        print(f"made {folder} in {time.perf_counter() - start:.0f} s")
    command = [sys.executable, "-m", "raysel", "serve", f"made={folder}", "--port", "0"]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        base = server.stdout.readline().split()[0]
        try:
            timed(f"{base}assets/explorer.css")
            print(f"start to first answer: {time.perf_counter() - start:.1f} s")
            measure(base, server.pid)
        finally:
            server.terminate()


def measure(base: str, process: int) -> None:
    """Measure a server."""
    draw = random.Random(0)

    def neuron() -> str:
        return f"conv{draw.randint(1, 15)}:{draw.choice([c for c in range(2000) if c % 11 != 5])}"

    here = f"{base}i/made/"
    print(f"first page, first time: {timed(here):.0f} ms, again: {timed(here):.0f} ms")
    questions = {
        "gallery": "gallery?v={}",
        "gallery, a condition": "gallery?where=color_selectivity > 0.{} and n >= 3".replace(" ", "%20"),
        "gallery, words": "gallery?q=red&where=n%3E={}",
        "gallery, deep": "gallery?sort=class_selectivity&offset={}000",
        "column": "columns/color_selectivity?v={}",
    }
    for name, question in questions.items():
        times = [timed(here + question.format(k % 9 + 1)) for k in range(_REPEATS)]
        print(f"{name}: first {times[0]:.0f} ms, median {statistics.median(times):.0f} ms, most {max(times):.0f} ms")
    times = [timed(f"{here}neuron/{neuron()}") for _ in range(_REPEATS)]
    print(f"neuron: first {times[0]:.0f} ms, median {statistics.median(times):.0f} ms, most {max(times):.0f} ms")
    first, then = (timed(f"{here}similar/{neuron()}") for _ in range(2))
    print(f"similar by images: first {first:.0f} ms, then {then:.0f} ms")
    kinds = ("neuron/{}", "feature/{}", "sheet/{}", "gallery?q=red&layer={}")
    for name, chosen in (("neuron pages", kinds[:1]), ("a mix of pages and pictures", kinds)):
        urls = []
        for k in range(AT_ONCE):
            address, kind = neuron(), chosen[k % len(chosen)]
            urls.append(here + kind.format(address.split(":")[0] if "layer" in kind else address))
        with ThreadPoolExecutor(AT_ONCE) as threads:
            times = list(threads.map(timed, urls))
        print(f"{AT_ONCE} at once, {name}: median {statistics.median(times):.0f} ms, most {max(times):.0f} ms, "
              f"{memory_mb(process):.0f} MB")  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
