"""Training cases, drawn from generated bodies: what is there to find, what is asked, and what is not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffugts.generated.lesion_looks import LesionKind
from diffugts.generated.phantom import demo_case
from diffugts.scans.intensity import COMPACT_CT_CURVE, MAISI_CT_CURVE, IntensityCurve, intensity_curve
from diffugts.training.cases import CaseSource, donors_of
from diffugts.training.generated_volumes import (
    FIRST_SEED,
    KINDS_OF_BODY,
    ORGAN_NAMES,
    PREFIX,
    generated_volume,
    kinds_of_body,
)
from diffugts.training.grid import TrainingGrid
from diffugts.training.tumours_by_place import TUMOURS_OF_REGION
from diffugts.training.volumes import Volume


@pytest.fixture(scope="module")
def bodies() -> list[Volume]:
    return [generated_volume(number) for number in (0, 2, 5)]  # thigh CT, abdomen CT, head FLAIR


def of(bodies: list[Volume], tissue: str, modality: str) -> Volume:
    return next(body for body in bodies if body.tissue == tissue and body.modality == modality)


def test_generated_bodies_are_healthy_throughout_and_know_their_organs(bodies: list[Volume]) -> None:
    for body in bodies:
        assert body.healthy.all() and not body.tumour.any()
        assert body.intensities.shape == body.organs.shape
        assert 0 <= body.intensities.min() and body.intensities.max() <= 1.3
    organs = {ORGAN_NAMES[value] for value in np.unique(of(bodies, "abdomen", "CT").organs) if value}
    assert {"liver", "kidney", "pancreas", "spleen", "bone"} <= organs and "thigh" not in organs


def test_the_demo_scan_is_none_of_the_training_bodies(bodies: list[Volume]) -> None:
    shown, _, _ = demo_case(seed=0)
    body = bodies[0]
    assert body.intensities.shape == shown.voxels.shape and str(FIRST_SEED) in body.name
    trained = intensity_curve(shown, COMPACT_CT_CURVE).inverse(body.intensities)
    assert np.corrcoef(trained.ravel(), shown.voxels.ravel())[0, 1] < 0.95


def test_a_lesion_case_shows_its_lesion_and_says_where_it_lies(bodies: list[Volume]) -> None:
    source = CaseSource(bodies, seed=1)
    for body in bodies:
        case = next(c for c in (source.generated(body) for _ in range(20)) if c is not None)
        assert case.intensities.shape == case.target.shape == case.weight.shape
        assert all(n % TrainingGrid().multiple == 0 for n in case.intensities.shape)
        assert case.target.any() and case.weight[case.target].all()
        assert case.tumour is not None and case.absent is None


def test_a_generated_limb_is_asked_for_sarcomas_as_the_real_ones_are(bodies: list[Volume]) -> None:
    source, thigh = CaseSource(bodies, seed=2), of(bodies, "thigh", "CT")
    kinds = (case.tumour.kind for case in (source.generated(thigh) for _ in range(20)) if case is not None)
    assert "soft tissue sarcoma" in kinds  # looked at one by one, up to the first


def test_a_case_without_a_tumour_is_asked_for_one_that_its_region_could_hold(bodies: list[Volume]) -> None:
    source = CaseSource(bodies, seed=3)
    for body, region in ((of(bodies, "head", "MR"), "head"), (of(bodies, "thigh", "CT"), "extremity")):
        case = source.nothing(body)
        assert case.tumour is None and not case.target.any()
        assert case.absent is not None
        assert (case.absent.kind, case.absent.organ) in TUMOURS_OF_REGION[region]


def test_the_same_seed_draws_the_same_cases(bodies: list[Volume]) -> None:
    first, second = CaseSource(bodies, 4), CaseSource(bodies, 4)
    body = bodies[0]
    for _ in range(2):
        a, b = first.nothing(body), second.nothing(body)
        assert np.array_equal(a.intensities, b.intensities) and a.absent == b.absent


def test_on_another_models_grid_bodies_and_lesions_are_as_its_foundation_sees_them() -> None:
    grid = TrainingGrid(1.5, MAISI_CT_CURVE, "all voxels", ("CT",), 32)
    body = generated_volume(0, grid)
    assert body.spacing_mm == 1.5 and body.modality == "CT"
    tissue = np.float32(body.intensities[body.organs > 0])
    hu = IntensityCurve(*MAISI_CT_CURVE).inverse(np.array([np.percentile(tissue, p) for p in (5, 95)]))
    assert -200 < hu[0] < hu[1] < 400, "muscle and the fat in it"
    source = CaseSource([body], 6, grid=grid)
    case = next(c for c in (source.generated(body) for _ in range(20)) if c is not None)
    assert case.spacing_mm == 1.5 and all(n % 32 == 0 for n in case.intensities.shape)
    inside = IntensityCurve(*MAISI_CT_CURVE).inverse(case.intensities[case.target])
    assert -150 < np.median(inside) < 250, "a lesion is drawn in the compact model's intensities, and comes back"


def test_a_model_is_shown_bodies_of_what_it_knows() -> None:
    assert {kind[1] for kind in kinds_of_body(TrainingGrid(modalities=("CT",)))} == {"CT"}
    assert {kind[0] for kind in kinds_of_body(TrainingGrid(modalities=("MR",)))} == {"head"}
    assert kinds_of_body(TrainingGrid()) == KINDS_OF_BODY


def test_ct_goes_to_the_compact_models_intensities_and_back() -> None:
    grid, hu = TrainingGrid(1.5, MAISI_CT_CURVE), np.linspace(-1000, 1000, 401)
    seen = IntensityCurve(*MAISI_CT_CURVE).forward(hu)
    assert np.allclose(grid.drawn(seen, "CT"), IntensityCurve(*COMPACT_CT_CURVE).forward(hu), atol=1e-5)
    assert np.allclose(grid.seen(grid.drawn(seen, "CT"), "CT"), seen, atol=1e-5)
    assert grid.drawn(seen, "MR") is seen and TrainingGrid().drawn(seen, "CT") is seen


def test_generated_bodies_are_a_group_of_their_own(bodies: list[Volume]) -> None:
    assert set(CaseSource(bodies, 5).groups) == {"body"}
    assert all(body.name.startswith(PREFIX) for body in bodies)


def test_of_what_is_left_out_no_tumour_is_shown_and_none_is_asked_for(bodies: list[Volume]) -> None:
    head = of(bodies, "head", "MR")
    everything, without = CaseSource([head], 3), CaseSource([head], 3, ["brain"])
    shown = [everything.generated(head) for _ in range(4)]
    assert any(case is not None and case.target.any() for case in shown)
    assert all(without.generated(head) is None for _ in range(4))
    assert everything.nothing(head).absent is not None
    assert without.nothing(head).absent is None


def test_leaving_one_category_out_keeps_the_others(bodies: list[Volume]) -> None:
    abdomen = of(bodies, "abdomen", "CT")
    without = CaseSource([abdomen], 4, ["liver", "soft tissue"])
    cases = [case for _ in range(10) if (case := without.generated(abdomen)) is not None]
    assert cases and all(case.organ != "liver" for case in cases)
    absent = [without.nothing(abdomen).absent for _ in range(12)]
    assert {text.organ for text in absent if text} <= {"kidney", "pancreas"}


def test_a_real_tumour_that_somebody_marked_outside_the_limbs_is_shown_as_what_it_is(bodies: list[Volume]) -> None:
    body = of(bodies, "abdomen", "CT")
    tumour = np.zeros(body.intensities.shape, bool)
    tumour[30:38, 40:48, 50:58] = True
    scan = replace(body, name="LIDC-example", body_part="thorax", tumour=tumour, healthy=~tumour)
    source = CaseSource([scan], 5)
    case = source.marked_tumour(source.marked[0])
    assert case.target.any() and case.tumour is not None
    assert case.tumour.organ == case.organ == "lung" and case.region is None
    assert not CaseSource([scan], 5, ["lung"]).marked


def test_generated_lesions_take_after_the_sarcomas_that_are_taught_but_for_those_of_bone(bodies: list[Volume]) -> None:
    body = of(bodies, "abdomen", "CT")
    tumour = np.zeros(body.tumour.shape, bool)
    tumour[tuple(slice(n // 2 - 8, n // 2 + 8) for n in tumour.shape)] = True
    sarcoma = replace(body, name="STS_900_CT", tumour=tumour)
    donors = donors_of([sarcoma, body], TrainingGrid())
    assert len(donors) == 1 and donors[0].modality == "CT"
    assert not donors_of([sarcoma], TrainingGrid(), ["soft tissue"])
    source = CaseSource([body], 3, donors=donors)
    drawn = [source.donor_for("CT", LesionKind.SOFT) for _ in range(60)]
    assert 10 < sum(donor is donors[0] for donor in drawn) < 40
    assert all(source.donor_for("CT", LesionKind.BONE) is None for _ in range(20))
    assert all(source.donor_for("MR", LesionKind.BRAIN) is None for _ in range(20))
