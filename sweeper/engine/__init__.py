"""Where work runs: the only place that imports Ray.

Ray reads these when it is imported, so they stand before any of its imports: no usage statistics,
no upload of the working directory through uv, no change of folder, no log files of Tune's own, no
console output of Tune's own, and our own handler of Ctrl-C.
"""

from __future__ import annotations

import os

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "600",
}
"""Environment of the driver; a value that the user has set is kept."""

for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)
