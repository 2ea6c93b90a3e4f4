"""Tests of the Slicer side: they run on the stand-in application of Testing/host, or are skipped without it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from host.plugin import *  # noqa: E402, F403
