"""``raysel bench`` as a job, for ``ray job submit -- python jobs/bench.py merge --neurons 27000``."""

import sys

from raysel.cli import main

if __name__ == "__main__":
    main(["bench", *sys.argv[1:]])
