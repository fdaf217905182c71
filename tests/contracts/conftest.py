from __future__ import annotations

import sys
from pathlib import Path

# The fakes of this folder are imported by name, also by Ray's workers, which get the driver's path.
sys.path.insert(0, str(Path(__file__).parent))
