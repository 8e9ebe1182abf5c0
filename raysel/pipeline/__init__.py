"""Where Ray lives: plan, scan, merge, derive, publish.

Ray reads its settings once, when it is first imported; every module of this package comes after they are made here.
"""

import os

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Ray's C++ core prints a red line for every actor pool, also the harmless ones (ray#57733).
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# Calls of an actor run in a thread. glibc gives it an arena of its own, which returns memory to the system whatever
# `keep_freed_memory` says: a sixth of a scan's CPU time was page faults. With one arena the memory stays.
os.environ.setdefault("MALLOC_ARENA_MAX", "1")
