"""What every engine test may rely on, however the test run itself was started."""

from __future__ import annotations

import os
import signal
from pathlib import Path

ENGINE = Path(__file__).resolve().parents[2] / "DiffuGTSSlicer"

# A run started in the background ignores Ctrl-C, and processes inherit that: tests that send it would wait in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Processes that tests start find the engine of this checkout, installed or not.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ENGINE), os.environ.get("PYTHONPATH")]))
