"""Work beside the main thread, in an application that keeps Python's lock while its event loop runs, as Slicer's does."""

from __future__ import annotations

import ctypes
import hashlib
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("scipy", reason="scipy, which Slicer brings, is not installed")
import qt  # noqa: E402
from made_findings import made_finding  # noqa: E402

from diffugts.errors import ResultError  # noqa: E402
from DiffuGTSSlicerLib.beside_main_thread import BesideMainThread  # noqa: E402
from DiffuGTSSlicerLib.results import SCORE_MAP, nodes_of_result  # noqa: E402
from DiffuGTSSlicerLib.score_field import ScoreField, ScoreFields  # noqa: E402
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry  # noqa: E402

BLOCKS = 1000
BLOCK = bytes(100_000)
IDLE_US = 20_000

hold_the_lock = getattr(ctypes.PyDLL(None), "usleep", None)
"""Waits so many microseconds and keeps Python's lock meanwhile: an event loop in C++ that nothing happens in."""


def hashed() -> str:
    """Gives the lock back and needs it again several hundred times."""
    digest = hashlib.sha256()
    for _ in range(BLOCKS):
        digest.update(BLOCK)
    return digest.hexdigest()


@pytest.fixture
def beside(host):
    made = BesideMainThread("test")
    yield made
    made.shutdown(wait=True, cancel_futures=True)


def turns_until_done(submit, host) -> int:
    """Turns of an event loop that keeps the lock for 20 ms each."""
    work, turns = submit(hashed), 0
    while not work.done():
        hold_the_lock(IDLE_US)
        host.application.processEvents()
        turns += 1
    return turns


@pytest.mark.skipif(hold_the_lock is None, reason="this system has no usleep")
def test_it_goes_on_while_the_event_loop_keeps_the_lock(beside, host):
    """A plain thread gets the lock a few times per turn, each time for a moment."""
    with ThreadPoolExecutor(1) as plain:
        assert 2 * turns_until_done(beside.submit, host) < turns_until_done(plain.submit, host)


def test_the_window_is_given_back_after_a_moment(beside, host):
    may_end = threading.Event()
    work = beside.submit(may_end.wait, 60)
    began = time.perf_counter()
    for _ in range(5):
        host.application.processEvents()
    assert not work.done() and time.perf_counter() - began < 5
    may_end.set()
    assert work.result(10)


def test_nothing_waits_once_all_is_done(beside, host):
    works = [beside.submit(np.sum, np.ones(5)) for _ in range(3)]
    host.wait_until(lambda: not beside._timer.active, 20)
    assert [work.result() for work in works] == [5, 5, 5]


def expected_map(scene, folder: Path) -> tuple[object, VolumeGeometry]:
    _, finding = made_finding(scene, folder)
    return nodes_of_result(scene, "1")[SCORE_MAP][0], finding.geometry


def test_a_map_that_is_expected_is_looked_through_beside(scene, tmp_path: Path, beside, monkeypatch):
    score_map, geometry = expected_map(scene, tmp_path)
    threads: list[threading.Thread] = []
    of = ScoreField.of
    monkeypatch.setattr(
        ScoreField, "of", lambda *of_what: (threads.append(threading.current_thread()), of(*of_what))[1]
    )
    fields = ScoreFields(beside)
    fields.expect([(score_map, geometry)])
    found = fields.of_node(score_map, geometry)
    assert len(threads) == 1 and threads[0] is not threading.main_thread()
    assert "histogram" in vars(found), "the distribution behind the slider is counted beside, too"
    assert np.array_equal(found.cell_maxima, of(slicer.util.arrayFromVolume(score_map), geometry).cell_maxima)
    assert fields.of_node(score_map, geometry) is found
    fields.expect([(score_map, geometry)])
    assert fields.of_node(score_map, geometry) is found


def test_a_map_that_was_changed_since_is_looked_through_again(scene, tmp_path: Path, beside):
    score_map, geometry = expected_map(scene, tmp_path)
    fields = ScoreFields(beside)
    fields.expect([(score_map, geometry)])
    before = fields.of_node(score_map, geometry)
    slicer.util.arrayFromVolume(score_map)[0, 0, 0] = 0.99
    slicer.util.arrayFromVolumeModified(score_map)
    assert fields.of_node(score_map, geometry) is not before
    assert fields.of_node(score_map, geometry).cell_maxima[0, 0, 0] == np.float32(0.99)


def test_a_map_that_is_not_expected_any_more_is_let_go(scene, tmp_path: Path, beside):
    score_map, geometry = expected_map(scene, tmp_path)
    fields = ScoreFields(beside)
    fields.expect([(score_map, geometry)])
    before = fields.of_node(score_map, geometry)
    fields.expect([])
    assert fields.of_node(score_map, geometry) is not before


def test_a_map_on_another_grid_is_refused_when_it_is_asked_for(scene, tmp_path: Path, beside):
    score_map, geometry = expected_map(scene, tmp_path)
    moved = geometry.ijk_to_ras.copy()
    moved[0, 3] += 5
    elsewhere = VolumeGeometry.of(geometry.dimensions, moved)
    fields = ScoreFields(beside)
    fields.expect([(score_map, elsewhere)])
    with pytest.raises(ResultError, match="no longer lies on the grid of its segments"):
        fields.of_node(score_map, elsewhere)


def test_what_waits_is_dropped_when_the_module_goes(host):
    beside = BesideMainThread("test")
    may_end = threading.Event()
    first, second = beside.submit(may_end.wait, 60), beside.submit(hashed)
    beside.shutdown(wait=False, cancel_futures=True)
    may_end.set()
    assert first.result(10) and second.cancelled()
    assert isinstance(second, Future)
    qt.QTimer()  # Qt is alive: the timer of what was dropped did not fire into a closed pool
    host.application.processEvents()
