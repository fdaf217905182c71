from __future__ import annotations

import sys
from pathlib import Path

# The sources of this folder are imported by name; import mode importlib adds no path by itself.
sys.path.insert(0, str(Path(__file__).parent))
