"""A baseline by its name, or by the folder it was trained into."""

from __future__ import annotations

from pathlib import Path

from diffugts.baselines.regions import REGION_BASELINES, RegionBaseline
from diffugts.errors import RequestError
from diffugts.evaluation.methods import Method


def find_baseline(name: str, device: str = "cpu") -> Method:
    """Raises RequestError for an unknown name, ModelError for a folder without a trained network."""
    if name in REGION_BASELINES:
        return RegionBaseline(name)
    if Path(name).is_dir():
        from diffugts.baselines.learned import LearnedBaseline

        return LearnedBaseline(Path(name), device)
    raise RequestError(
        f"There is no method '{name}'. There are diffugts, {', '.join(REGION_BASELINES)}, and the folders of networks "
        "trained with `diffugts baseline train`."
    )
