"""The picture of a finding, judged by its pixels: right slice, right side, right proportions, one grey scale."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from scipy.ndimage import binary_dilation, binary_erosion

from diffugts.findings import picture
from diffugts.findings.finding import Finding, Segmentation, Verdict
from diffugts.findings.lesions import measure_lesions
from diffugts.findings.picture import RESEARCH_USE, draw_picture
from diffugts.protocol import Quality
from diffugts.scans.scan import Geometry, Scan
from made_segmentations import AXIAL, SAGITTAL, finding, segmentation, textured_scan

BOX = (slice(4, 9), slice(6, 12), slice(3, 9))


def drawn(made: Segmentation, tmp_path: Path, residual: bool = False, number: int = 0) -> np.ndarray:
    """The picture (row, column, rgb), 0..1."""
    draw_picture(made, made.findings[number], tmp_path / "picture.png", residual)
    return imread(tmp_path / "picture.png")[..., :3]


def pane(pixels: np.ndarray, number: int, count: int = 3) -> np.ndarray:
    """The pixels of a pane that fills its place."""
    inches = pixels.shape[1] / picture.DOTS_PER_INCH
    width = (inches - 2 * picture.EDGE - (count - 1) * picture.GAP - picture.BAR) / count
    left = round((picture.EDGE + number * (width + picture.GAP)) * picture.DOTS_PER_INCH)
    head, foot = (round(part * picture.DOTS_PER_INCH) for part in (picture.HEAD, picture.FOOT))
    return pixels[head : len(pixels) - foot, left : left + round(width * picture.DOTS_PER_INCH)]


def middle(pixels: np.ndarray) -> np.ndarray:
    """Away from labels and letters."""
    rows, columns = pixels.shape[:2]
    return pixels[round(0.15 * rows) : round(0.45 * rows), round(0.1 * columns) : round(0.9 * columns)]


def plain_finding(scan: Scan, score: np.ndarray | None = None) -> Finding:
    nothing = np.zeros(scan.geometry.shape, np.float32)
    return Finding("cyst", nothing if score is None else score, nothing > 0, Verdict.NOT_FOUND, 0.0, 0.1, 0.5)


def test_a_sagittal_series_gives_the_picture_of_the_same_patient_scanned_axially(tmp_path: Path) -> None:
    axial = Geometry((16, 18, 14), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), AXIAL)
    scan = textured_scan(axial)
    found = finding("mass", scan, BOX)
    made = segmentation(scan, [found])
    # Sagittal series: i to posterior, j to inferior, k to left; so array (k, j, i) = (x, -z, y) of the axial one.
    turned = Geometry((18, 14, 16), (2.0, 2.0, 2.0), (0.0, 0.0, 26.0), SAGITTAL)

    def turn(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array.transpose(2, 0, 1)[:, ::-1])

    assert made.pseudo_healthy is not None and made.residual is not None
    again = replace(
        made,
        scan=Scan(turn(scan.voxels), turned, "CT"),
        findings=[replace(found, score_map=turn(found.score_map), mask=turn(found.mask))],
        pseudo_healthy=turn(made.pseudo_healthy),
        residual=turn(made.residual),
    )
    np.testing.assert_allclose(drawn(made, tmp_path, True), drawn(again, tmp_path, True), atol=2 / 255)


def test_the_patients_right_is_on_the_left_and_the_front_on_top(tmp_path: Path) -> None:
    geometry = Geometry((40, 40, 9), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), AXIAL)
    voxels = np.full(geometry.shape, -160, np.float32)
    voxels[:, 8:16, 4:14] = 240  # low x: right; low y: front
    shown = pane(
        drawn(segmentation(Scan(voxels, geometry, "CT"), [plain_finding(Scan(voxels, geometry, "CT"))]), tmp_path), 0
    )
    bright = np.argwhere(middle(shown).min(-1) > 0.9)
    assert bright[:, 1].mean() < 0.3 * middle(shown).shape[1]
    assert len(bright) > 500


def test_voxels_have_their_true_proportions(tmp_path: Path) -> None:
    geometry = Geometry((30, 90, 5), (3.0, 1.0, 5.0), (0.0, 0.0, 0.0), AXIAL)
    voxels = np.full(geometry.shape, -160, np.float32)
    voxels[:, 30:60, 10:20] = 240  # 30 mm by 30 mm
    scan = Scan(voxels, geometry, "CT")
    bright = np.argwhere(pane(drawn(segmentation(scan, [plain_finding(scan)]), tmp_path), 2)[..., 0] > 0.5)
    bright = bright[((bright > 60) & (bright < 400)).all(1)]  # not the letters
    height, width = np.ptp(bright, axis=0)
    assert height > 100 and width == pytest.approx(height, abs=4)


@pytest.mark.parametrize("number", [0, 3, 8])
def test_the_slice_is_where_the_finding_is_largest_or_the_score_highest(number: int, tmp_path: Path) -> None:
    geometry = Geometry((20, 20, 9), (2.0, 2.0, 4.0), (0.0, 0.0, 0.0), AXIAL)
    levels = np.linspace(-150, 230, 9, dtype=np.float32)
    scan = Scan(np.broadcast_to(levels[:, None, None], geometry.shape).copy(), geometry, "CT")
    grey = (levels[number] + 160) / 400
    score = np.zeros(geometry.shape, np.float32)
    score[number, 2, 2] = 0.4
    unfound = segmentation(scan, [plain_finding(scan, score)])
    assert np.median(middle(pane(drawn(unfound, tmp_path), 0))) == pytest.approx(grey, abs=0.02)
    mask = np.zeros(geometry.shape, bool)
    mask[:, 3, 3] = True
    mask[number, 3:6, 3:5] = True
    found = replace(plain_finding(scan, score), mask=mask)
    assert np.median(middle(pane(drawn(segmentation(scan, [found]), tmp_path), 0))) == pytest.approx(grey, abs=0.02)


@pytest.mark.parametrize("flipped", [False, True])
def test_of_several_lesions_the_largest_is_shown_though_small_ones_fill_another_slice(
    flipped: bool, tmp_path: Path
) -> None:
    direction = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0) if flipped else AXIAL
    geometry = Geometry((20, 20, 9), (2.0, 2.0, 4.0), (0.0, 0.0, 0.0), direction)
    levels = np.linspace(-150, 230, 9, dtype=np.float32)
    scan = Scan(np.broadcast_to(levels[:, None, None], geometry.shape).copy(), geometry, "CT")
    mask = np.zeros(geometry.shape, bool)
    mask[1:6, 2:5, 2:5] = True  # 45 voxels, 9 of them in each slice
    mask[7, 8:20:3, 8:20:3] = True  # 16 specks in one
    score = mask.astype(np.float32)
    found = replace(plain_finding(scan, score), mask=mask, lesions=measure_lesions(mask, score, scan))
    grey = np.median(middle(pane(drawn(segmentation(scan, [found]), tmp_path), 0)))
    assert (levels[2] + 160) / 400 - 0.02 < grey < (levels[4] + 160) / 400 + 0.02


def test_without_any_score_the_middle_slice_is_shown(tmp_path: Path) -> None:
    geometry = Geometry((20, 20, 9), (2.0, 2.0, 4.0), (0.0, 0.0, 0.0), AXIAL)
    levels = np.linspace(-150, 230, 9, dtype=np.float32)
    scan = Scan(np.broadcast_to(levels[:, None, None], geometry.shape).copy(), geometry, "CT")
    shown = middle(pane(drawn(segmentation(scan, [plain_finding(scan)]), tmp_path), 0))
    assert np.median(shown) == pytest.approx((levels[4] + 160) / 400, abs=0.02)


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_scan_and_pseudo_healthy_have_one_grey_scale(modality: str, tmp_path: Path) -> None:
    scan = textured_scan(modality=modality)
    made = replace(segmentation(scan, [plain_finding(scan)]), pseudo_healthy=scan.voxels)
    pixels = drawn(made, tmp_path)
    assert np.ptp(middle(pane(pixels, 0))) > 0.3
    np.testing.assert_allclose(middle(pane(pixels, 0)), middle(pane(pixels, 2)), atol=0.03)


def test_a_finding_in_the_lung_is_shown_in_the_lungs_window(tmp_path: Path) -> None:
    geometry = Geometry((60, 60, 5), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), AXIAL)
    voxels = np.full(geometry.shape, -850, np.float32)
    voxels[:, 30:34, 30:34] = 20
    scan = Scan(voxels, geometry, "CT")
    found = finding("nodule", scan, (slice(1, 4), slice(30, 34), slice(30, 34)))
    assert np.median(middle(pane(drawn(segmentation(scan, [found]), tmp_path), 0))) == pytest.approx(1 / 3, abs=0.02)


def test_the_outline_has_the_segments_colour_and_the_map_is_seen_through(tmp_path: Path) -> None:
    scan = textured_scan()
    made = segmentation(scan, [plain_finding(scan), finding("mass", scan, (slice(4, 9), slice(4, 8), slice(3, 9)))])
    pixels = drawn(made, tmp_path, number=1)
    outline = np.array(picture.colour(1))
    assert (np.abs(pane(pixels, 0) - outline).max(-1) < 0.06).sum() > 200
    first, second = pane(pixels, 0), pane(pixels, 1)
    coloured = np.ptp(second, axis=-1) > 0.2
    assert 0.01 < coloured.mean() < 0.6 and not coloured[len(first) // 2 :, first.shape[1] * 3 // 4 :].any()


def test_a_residual_is_a_fourth_pane_where_there_is_one(tmp_path: Path) -> None:
    scan = textured_scan()
    made = segmentation(scan, [finding("mass", scan, BOX)])
    three, four = drawn(made, tmp_path), drawn(made, tmp_path, residual=True)
    assert four.shape[1] > 1.2 * three.shape[1]
    last = pane(four, 3, 4)
    assert (last[..., 0] - last[..., 2] > 0.3).sum() > 1000, "200 HU above the pseudo-healthy scan is orange"
    without = segmentation(scan, [finding("mass", scan, BOX)], inpainted=False)
    assert drawn(without, tmp_path, residual=True).shape == three.shape


def test_the_picture_says_what_it_shows_and_that_it_is_for_research(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    save = Figure.savefig

    def listen(figure: Figure, *arguments: object, **options: object) -> None:
        said.extend(text.get_text() for text in figure.texts)
        said.extend(text.get_text() for axes in figure.axes for text in axes.texts)
        save(figure, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "savefig", listen)
    scan = textured_scan()
    made = segmentation(scan, [finding("liver\nmetastasis", scan, BOX)])
    draw_picture(made, made.findings[0], tmp_path / "a.png")
    volume = made.findings[0].volume_ml
    assert "liver metastasis" in said and RESEARCH_USE in said
    assert f"found · highest score 0.90 · {volume:.2f} ml in 1 lesion · longest axial diameter" in " ".join(said)
    assert {"Scan, outline", "Scan, score map", "Pseudo-healthy", "R", "L"} <= set(said)


@pytest.mark.parametrize(
    "description", ["$x_1$ and \\frac", "😀 肝転移 ورم", "a\x00b\x1b", "word " * 400, '<b>"&%{}', "\u200b"]
)
def test_a_description_of_any_signs_is_drawn_without_a_warning(description: str, tmp_path: Path) -> None:
    scan = textured_scan()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert drawn(segmentation(scan, [finding(description, scan, BOX)]), tmp_path).shape[2] == 3


@pytest.mark.parametrize("shape", [(3, 400, 9), (3, 9, 400), (1, 1, 1), (40, 8, 8)])
def test_scans_of_any_shape_are_drawn(shape: tuple[int, int, int], tmp_path: Path) -> None:
    scan = Scan(np.zeros(shape, np.float32), Geometry(shape[::-1], (1.0, 1.0, 6.0), (0.0, 0.0, 0.0), AXIAL), "MR")
    pixels = drawn(segmentation(scan, [plain_finding(scan)], inpainted=False), tmp_path)
    assert 100 < pixels.shape[0] < 900 and 800 < pixels.shape[1] < 2200


def test_drawing_leaves_the_volumes_as_they_were(tmp_path: Path) -> None:
    scan = textured_scan()
    made = segmentation(scan, [finding("mass", scan, BOX)])
    before = [scan.voxels.copy(), made.findings[0].score_map.copy(), made.findings[0].mask.copy()]
    drawn(made, tmp_path, residual=True)
    for array, earlier in zip((scan.voxels, made.findings[0].score_map, made.findings[0].mask), before):
        np.testing.assert_array_equal(array, earlier)


def test_drawing_needs_no_display_and_leaves_no_state_behind() -> None:
    code = "import sys, diffugts.findings.picture; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "DISPLAY": ""}).returncode == 0


def test_the_map_is_coloured_only_where_the_score_is_above_the_limit(tmp_path: Path) -> None:
    geometry = Geometry((48, 48, 3), (2.0, 2.0, 4.0), (0.0, 0.0, 0.0), AXIAL)
    scan = Scan(np.full(geometry.shape, 40, np.float32), geometry, "CT")
    score = np.zeros(geometry.shape, np.float32)
    score[1, 4:12, 30:44] = picture.LOWEST_SHOWN - 0.01
    score[1, 16:24, 30:44] = picture.LOWEST_SHOWN + 0.01
    score[1, 30:40, 10:20] = 0.9
    shown = pane(drawn(segmentation(scan, [plain_finding(scan, score)]), tmp_path), 1)
    rows, columns = (((np.arange(n) + 0.5) / n * 48).astype(int) for n in shown.shape[:2])
    above = score[1][np.ix_(rows, columns)] >= picture.LOWEST_SHOWN
    coloured = np.ptp(shown, axis=-1) > 0.1
    assert not (coloured & ~binary_dilation(above, iterations=2)).any()
    inside = binary_erosion(above, iterations=8)
    assert inside.any() and coloured[inside].all()


def test_a_finding_that_reaches_the_edge_has_a_whole_outline(tmp_path: Path) -> None:
    scan = Scan(np.full((3, 48, 48), 40, np.float32), Geometry((48, 48, 3), (2.0, 2.0, 4.0), (0, 0, 0), AXIAL), "CT")
    for end in (48, 24):
        found = finding("mass", scan, (slice(0, 3), slice(0, end), slice(0, end)))
        shown = pane(drawn(segmentation(scan, [found]), tmp_path), 0)
        outline = np.abs(shown - np.array(picture.colour(0))).max(-1) < 0.2
        reach = len(outline) * end // 48
        assert outline[:3, :reach].any(0).mean() > 0.9 and outline[:reach, :3].any(1).mean() > 0.9
        assert not outline[reach + 6 :].any() and not outline[:, reach + 6 :].any()


@pytest.mark.parametrize("size", [(40, 1, 20), (1, 30, 20)])
def test_a_finding_in_slices_of_a_single_row_is_drawn_without_a_warning(
    size: tuple[int, int, int], tmp_path: Path
) -> None:
    scan = textured_scan(Geometry(size, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), AXIAL))
    half = [slice(0, max(1, n // 2)) for n in scan.geometry.shape]
    made = segmentation(scan, [finding("mass", scan, (half[0], half[1], half[2]))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert drawn(made, tmp_path).shape[2] == 3


@pytest.mark.parametrize("quality", [Quality.FAST, Quality.STANDARD])
def test_without_a_pseudo_healthy_scan_the_third_pane_is_black_and_says_why(quality: Quality, tmp_path: Path) -> None:
    scan = textured_scan()
    made = replace(segmentation(scan, [plain_finding(scan)], inpainted=False), quality=quality)
    third = pane(drawn(made, tmp_path), 2)
    assert np.median(third) == 0
    words = third[round(0.4 * len(third)) : round(0.6 * len(third))]
    assert words.max() > 0.4 and (words > 0.2).mean() < 0.2
