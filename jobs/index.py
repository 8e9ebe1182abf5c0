"""The main job, for ``ray job submit -- python jobs/index.py --network ... --images ... --out ...``.

The same options as ``raysel index``; the run joins the cluster that the job was submitted to.
"""

import sys

from raysel.cli import main

if __name__ == "__main__":
    main(["index", *sys.argv[1:]])
