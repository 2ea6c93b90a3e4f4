"""Connected regions of sparse masks are those of the whole mask, however it lies in its cells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
ndimage = pytest.importorskip("scipy.ndimage", reason="scipy, which Slicer brings, is not installed")


from DiffuGTSSlicerLib.regions import Regions  # noqa: E402
from DiffuGTSSlicerLib.sparse_mask import CELL, SparseMask  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SHAPE = (50, 61, 47)


def made_mask(seed: int, density: float) -> np.ndarray:
    """Blobs of all sizes: specks at a low density, one region that fills everything at a high one."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 1.2)
    return noise > np.quantile(noise, 1 - density)


def whole(mask: SparseMask) -> np.ndarray:
    return mask.within((0, 0, 0), SHAPE)


@pytest.mark.parametrize("density", [0.0, 0.002, 0.03, 0.2, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_regions_are_those_of_the_whole_mask(seed: int, density: float):
    mask = made_mask(seed, density)
    regions = Regions.of(SparseMask.of_voxels(mask.view(np.uint8), (0, 0, 0)))
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    assert sorted(regions.sizes) == sorted(np.bincount(labels.ravel())[1:])
    assert len(regions.sizes) == count
    for number in range(min(count, 20)):
        one = whole(regions.union(np.arange(count) == number))
        (label,) = np.unique(labels[one])
        assert np.array_equal(one, labels == label)
        assert regions.sizes[number] == one.sum()


def test_what_touches_only_at_a_corner_of_two_cells_is_one_region():
    mask = np.zeros(SHAPE, bool)
    mask[CELL - 1, CELL - 1, CELL - 1] = mask[CELL, CELL, CELL] = True
    mask[CELL + 2, CELL + 2, CELL + 2] = True
    regions = Regions.of(SparseMask.of_voxels(mask.view(np.uint8), (0, 0, 0)))
    assert sorted(regions.sizes) == [1, 2]


def test_all_regions_together_are_the_mask_and_none_of_them_is_nothing():
    mask = SparseMask.of_voxels(made_mask(0, 0.05).view(np.uint8), (0, 0, 0))
    regions = Regions.of(mask)
    everything = np.ones(len(regions.sizes), bool)
    assert np.array_equal(whole(regions.union(everything)), whole(mask))
    assert regions.union(~everything).count == 0


def test_more_regions_than_two_bytes_can_count_are_all_found():
    specks = np.zeros((80, 80, 80), bool)
    specks[::2, ::2, ::2] = True
    specks[0, 0, 1] = True  # joins two: all in one group of touching cells
    regions = Regions.of(SparseMask.of_voxels(specks.view(np.uint8), (0, 0, 0)))
    assert len(regions.sizes) == 40**3 - 1 and sorted(regions.sizes)[-1] == 3
    large = regions.union(regions.sizes > 1)
    assert large.count == 3 and large.within((0, 0, 0), (1, 1, 3)).all()


def test_specks_far_apart_are_joined_in_one_call_and_stay_apart(monkeypatch):
    """A low threshold makes hundreds of them: scipy's own overhead, a millisecond each, would hold up the window."""
    from scipy.sparse import csgraph

    calls: list[int] = []
    real = csgraph.connected_components
    monkeypatch.setattr(csgraph, "connected_components", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    specks = np.zeros((5 * CELL, 5 * CELL, 11 * CELL), bool)
    expected = []
    for number, corner in enumerate((k, j, i) for k in (0, 40) for j in (1, 50) for i in (2, 40, 80, 120)):
        length = 3 + number % 5
        specks[tuple(slice(c, c + length) for c in corner)] = True
        specks[corner[0], corner[1] + length + 1, corner[2]] = True  # a second region in the same cells
        expected += [length**3, 1]
    regions = Regions.of(SparseMask.of_voxels(specks.view(np.uint8), (0, 0, 0)))
    assert sorted(regions.sizes) == sorted(expected) and len(calls) == 1
    assert [int(mask.voxels.sum()) for mask in regions.masks()] == regions.sizes.tolist()


def test_the_masks_are_the_regions_and_the_highest_come_first():
    mask = made_mask(1, 0.03)
    regions = Regions.of(SparseMask.of_voxels(mask.view(np.uint8), (0, 0, 0)))
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    scores = np.random.default_rng(0).random(SHAPE).astype(np.float32) * mask
    masks = regions.masks()
    assert [one.count for one in masks] == list(regions.sizes)
    assert len({int(labels[one.slices][one.voxels][0]) for one in masks}) == count
    found = [float(scores[one.slices][one.voxels].max()) for one in regions.highest(5, scores)]
    every = sorted((float(scores[labels == n].max()) for n in range(1, count + 1)), reverse=True)
    assert found == every[:5]


READS_A_RESULT = """
import sys
from pathlib import Path

import numpy as np

import host

host.start()
from made_results import write_result
from made_volumes import SHAPE, matrix

from diffugts.protocol import sha256_of
from DiffuGTSSlicerLib.result_check import checked_and_read
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry

folder = Path(sys.argv[1])
to_ras = matrix("oblique")
write_result(folder, SHAPE, np.diag([-1.0, -1.0, 1.0, 1.0]) @ to_ras, ("liver tumour",))
told = folder / "result.json"
before = "scipy.sparse.csgraph" in sys.modules
geometry = VolumeGeometry.of(SHAPE[::-1], to_ras)
checked_and_read(folder, str(told), sha256_of(told), "done", ("liver tumour",), geometry)
print(before, "scipy.sparse.csgraph" in sys.modules)
"""


MAKES_THE_PANEL = """
import sys, threading
from pathlib import Path

import host

running = host.start()
running.load_module(Path(sys.argv[1]) / "DiffuGTSSlicer.py")
import DiffuGTSSlicer
from scripted_environment import ScriptedEnvironment

DiffuGTSSlicer.Environment = ScriptedEnvironment
importers = []


class Watch:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "scipy.sparse.csgraph":
            importers.append(threading.current_thread())


sys.meta_path.insert(0, Watch)
running.open_module("DiffuGTSSlicer")
running.wait_until(lambda: hasattr(sys.modules.get("scipy.sparse.csgraph"), "connected_components"), 60)
running.unload_widget("DiffuGTSSlicer")
print(len(importers), threading.main_thread() in importers)
"""


CUTS_AT_ONCE = """
import threading

import numpy as np

from DiffuGTSSlicerLib.regions import Regions, load_scipy
from DiffuGTSSlicerLib.sparse_mask import SparseMask

loading = threading.Thread(target=load_scipy)
loading.start()
print(Regions.of(SparseMask.of_voxels(np.ones((3, 3, 3), np.uint8), (0, 0, 0))).sizes)
loading.join(60)
"""


def run_by_itself(program: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """A program in a Python of its own, in which nothing is loaded yet."""
    folders = [ROOT / "Testing", ROOT / "Testing" / "slicer", ROOT / "DiffuGTSSlicer"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    asked = [sys.executable, "-c", program, *arguments]
    return subprocess.run(asked, env=environment, capture_output=True, text=True)


def test_what_finds_regions_is_loaded_while_a_result_is_read(host, tmp_path: Path):
    """That is done beside the main thread; a first cut would load it, a third of a second, on the main thread."""
    done = run_by_itself(READS_A_RESULT, tmp_path / "result")
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_making_the_panel_loads_it_beside_the_main_thread(host):
    done = run_by_itself(MAKES_THE_PANEL, ROOT / "DiffuGTSSlicer")
    assert done.stdout.split() == ["1", "False"], done.stderr


def test_regions_asked_for_while_it_is_being_loaded_are_found():
    done = run_by_itself(CUTS_AT_ONCE)
    assert done.stdout.strip() == "[27]", done.stderr
