"""Generated bodies: the organs are there, look as they should, and the demonstration's lesion can be seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from diffugts.generated.phantom import Phantom, demo_case, draw_phantom
from diffugts.scans.intensity import COMPACT_CT_CURVE
from diffugts.scans.working_grid import to_working_grid

SMALLEST_ML = {
    "thigh": {"skin": 20, "subcutaneous fat": 300, "muscle": 1000, "intermuscular fat": 50, "femur": 30, "marrow": 15,
              "vessels": 15, "nerve": 4},
    "abdomen": {"liver": 700, "spleen": 90, "kidneys": 130, "pancreas": 20, "gallbladder": 10, "stomach wall": 30,
                "stomach content": 60, "small bowel wall": 40, "colon wall": 40, "bowel gas": 20, "aorta": 20,
                "vena cava": 15, "liver vessels": 6, "mesenteric vessels": 2, "vertebrae": 120, "ribs": 80,
                "muscle": 800, "visceral fat": 500, "subcutaneous fat": 600, "spinal canal": 20},
    "thorax": {"lungs": 1500, "lung vessels": 15, "heart": 150, "heart chambers": 60, "aorta": 50, "vena cava": 8,
               "pulmonary arteries": 8, "airways": 8, "airway wall": 2, "ribs": 120, "vertebrae": 90, "sternum": 20,
               "liver": 30, "oesophagus": 5},
    "head": {"scalp": 150, "skull": 200, "cerebrospinal fluid": 80, "grey matter": 200, "white matter": 300,
             "deep grey matter": 8, "ventricles": 4},
}  # fmt: skip
"""Volumes that a body of any seed exceeds."""

HU = {
    "thigh": {"muscle": (40, 70), "subcutaneous fat": (-120, -85), "femur": (700, 1300), "marrow": (-80, 200)},
    "abdomen": {"liver": (85, 125), "spleen": (95, 140), "kidneys": (120, 200), "aorta": (110, 180),
                "gallbladder": (-15, 35), "bowel gas": (-1000, -750), "muscle": (40, 85), "visceral fat": (-120, -60),
                "vertebrae": (250, 700), "stomach content": (-30, 40)},
    "thorax": {"lungs": (-900, -750), "heart chambers": (130, 190), "airways": (-1000, -750), "aorta": (120, 180),
               "heart": (80, 130)},
    "head": {"white matter": (20, 45), "grey matter": (10, 80), "skull": (500, 1300), "ventricles": (-5, 30)},
}  # fmt: skip
"""Means in HU."""

BODIES = list(SMALLEST_ML)


@pytest.fixture(scope="module", params=[(body, seed) for body in BODIES for seed in (0, 7)], ids=str)
def ct(request: pytest.FixtureRequest) -> tuple[str, Phantom]:
    body, seed = request.param
    return body, draw_phantom(seed, body, "CT", 3.0)


def test_every_organ_is_there_in_a_plausible_size(ct: tuple[str, Phantom]) -> None:
    body, phantom = ct
    ml = phantom.scan.geometry.voxel_ml
    volumes = {name: float(phantom.mask(name).sum()) * ml for name in phantom.names.values()}
    missing = {name: volumes.get(name) for name, least in SMALLEST_ML[body].items() if volumes.get(name, 0) < least}
    assert not missing
    assert set(np.unique(phantom.labels)) == {0, *phantom.names}, "each label has a name, and each name voxels"


def test_organs_have_their_hounsfield_units(ct: tuple[str, Phantom]) -> None:
    body, phantom = ct
    means = {name: float(phantom.scan.voxels[phantom.mask(name)].mean()) for name in HU[body]}
    assert {name: mean for name, mean in means.items() if not HU[body][name][0] < mean < HU[body][name][1]} == {}
    air = phantom.scan.voxels[ndimage.binary_erosion(phantom.labels == 0, iterations=3)]
    assert air.mean() == pytest.approx(-1000, abs=15) and phantom.scan.voxels.min() >= -1024


def test_the_body_is_one_piece_with_noise_and_soft_edges(ct: tuple[str, Phantom]) -> None:
    _, phantom = ct
    labels, count = ndimage.label(phantom.labels > 0)
    assert np.bincount(labels.ravel())[1:].max() > 0.999 * (phantom.labels > 0).sum()
    edge = ndimage.binary_dilation(phantom.labels > 0) & (phantom.labels == 0)
    assert ((phantom.scan.voxels[edge] > -950) & (phantom.scan.voxels[edge] < -100)).mean() > 0.25


def test_left_and_right_are_the_patient_s(ct: tuple[str, Phantom]) -> None:
    body, phantom = ct

    def place_lps(name: str) -> np.ndarray:
        k, j, i = np.argwhere(phantom.mask(name)).mean(0)
        return (phantom.scan.geometry.ijk_to_lps @ (i, j, k, 1))[:3]

    if body == "abdomen":
        assert place_lps("liver")[0] < -20 and place_lps("spleen")[0] > 60
        assert place_lps("vertebrae")[1] > place_lps("stomach wall")[1] + 30, "the spine is at the back"
        assert place_lps("liver")[2] > place_lps("small bowel wall")[2] + 20
        assert len(np.bincount(ndimage.label(phantom.mask("kidneys"))[0].ravel())) >= 3
    if body == "thorax":
        assert place_lps("heart")[0] > 3 and place_lps("liver")[0] < -30
        assert place_lps("sternum")[1] < place_lps("heart")[1] < place_lps("vertebrae")[1]


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(BODIES), st.sampled_from(["CT", "MR"]))
def test_any_seed_gives_the_same_body_twice(seed: int, body, modality) -> None:
    one, other = draw_phantom(seed, body, modality, 8.0), draw_phantom(seed, body, modality, 8.0)
    np.testing.assert_array_equal(one.scan.voxels, other.scan.voxels)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.names == other.names and np.isfinite(one.scan.voxels).all()
    assert one.scan.voxels.dtype == np.float32 and one.labels.dtype == np.uint8
    assert (draw_phantom(seed + 1, body, modality, 8.0).labels != one.labels).mean() > 0.005


def test_mr_sequences_order_the_tissues_as_scanners_do() -> None:
    def means(body, sequence: str, *names: str) -> list[float]:
        phantom = draw_phantom(3, body, "MR", 3.0, sequence=sequence)
        inner = {name: ndimage.binary_erosion(phantom.mask(name)) for name in names}
        return [float(phantom.scan.voxels[inner[name]].mean()) for name in names]

    fluid, grey, white = means("head", "T1", "ventricles", "deep grey matter", "white matter")
    assert fluid < grey < white
    fluid, grey, white = means("head", "T2", "ventricles", "deep grey matter", "white matter")
    assert white < grey < fluid
    fluid, grey, white = means("head", "FLAIR", "ventricles", "deep grey matter", "white matter")
    assert fluid < white < grey
    muscle, fat, marrow = means("thigh", "T1", "muscle", "subcutaneous fat", "marrow")
    assert muscle < marrow < fat


def test_a_size_crops_the_middle_of_the_field_and_keeps_its_place() -> None:
    whole = draw_phantom(4, "thigh", "CT", 4.0)
    part = draw_phantom(4, "thigh", "CT", 4.0, size=(20, 24, 500))
    assert part.labels.shape == (20, 24, whole.labels.shape[2])
    k, j = (whole.labels.shape[0] - 20) // 2, (whole.labels.shape[1] - 24) // 2
    np.testing.assert_array_equal(part.scan.voxels, whole.scan.voxels[k : k + 20, j : j + 24])
    np.testing.assert_allclose(
        part.scan.geometry.ijk_to_lps @ (0, 0, 0, 1), whole.scan.geometry.ijk_to_lps @ (0, j, k, 1)
    )


@pytest.mark.parametrize(
    "arguments, met",
    [
        ({"body": "knee", "modality": "CT"}, "knee"),
        ({"body": "head", "modality": "PET"}, "PET"),
        ({"body": "head", "modality": "CT", "sequence": "T1"}, "T1"),
        ({"body": "head", "modality": "MR", "sequence": "DWI"}, "DWI"),
        ({"body": "head", "modality": "CT", "spacing_mm": 20.0}, "20.0 mm"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_what_was_met(arguments: dict, met: str) -> None:
    with pytest.raises(ValueError, match=met):
        draw_phantom(0, **arguments)


@pytest.mark.parametrize(
    "body, words", [("thigh", "sarcoma"), ("abdomen", "liver"), ("thorax", "lung"), ("head", "glioma")]
)
def test_the_demonstration_shows_one_visible_lesion_and_names_it(body, words: str) -> None:
    scan, mask, description = demo_case(0, body, 4.0)
    again, mask_again, _ = demo_case(0, body, 4.0)
    np.testing.assert_array_equal(scan.voxels, again.voxels)
    np.testing.assert_array_equal(mask, mask_again)
    assert words in description and mask.shape == scan.voxels.shape and mask.dtype == bool
    assert 3 < mask.sum() * scan.geometry.voxel_ml < 250
    healthy = draw_phantom(0, body, scan.modality, 4.0).scan.voxels
    difference = np.abs(scan.voxels - healthy)
    assert np.median(difference[mask]) > (15 if scan.modality == "CT" else 60)
    far = ~ndimage.binary_dilation(mask, iterations=15)
    np.testing.assert_array_equal(scan.voxels[far], healthy[far], err_msg="bone and air keep their values")


def test_the_demonstration_s_scan_reaches_the_working_grid() -> None:
    scan, mask, _ = demo_case(1, "thigh")
    grid = to_working_grid(scan, 2.0, COMPACT_CT_CURVE)
    assert min(grid.intensities.shape) > 60 and grid.scan_geometry == scan.geometry
    assert mask.sum() * scan.geometry.voxel_ml > 40


def test_an_unknown_demonstration_is_refused() -> None:
    with pytest.raises(ValueError, match="knee"):
        demo_case(0, "knee")  # type: ignore[arg-type]
