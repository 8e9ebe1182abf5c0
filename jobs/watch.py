"""``raysel watch`` as a job, for ``ray job submit -- python jobs/watch.py --once --checkpoints ... --config ...``."""

import sys

from raysel.cli import main

if __name__ == "__main__":
    main(["watch", *sys.argv[1:]])
