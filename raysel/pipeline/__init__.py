"""Where Ray lives: plan, scan, merge, derive, publish.

Ray reads its settings once, when it is first imported; every module of this package comes after they are made here.
"""

import os
import secrets

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Ray's C++ core prints a red line for every actor pool, also the harmless ones (ray#57733).
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
if not {"RAY_ADDRESS", "RAY_AUTH_MODE"} & os.environ.keys():
    # A local Ray of a run's own answers this process and its children, and no other user of the machine.
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
