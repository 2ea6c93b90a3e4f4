"""Modality and sequence from names and voxels."""

from __future__ import annotations

import numpy as np
import pytest

from diffugts.errors import ScanError
from diffugts.protocol.modality import looks_like_ct, modality_from_words, sequence_from_words
from diffugts.scans.modality import resolve_modality, resolve_sequence, stated_modality

NOTHING = np.linspace(0, 900, 100)


@pytest.mark.parametrize(
    ("name", "modality", "sequence"),
    [
        ("STS_001_CT", "CT", None),
        ("STS_001_MR_T1", "MR", "T1"),
        ("CRLM-CT-1004", "CT", None),
        ("example_ct_upper_abdomen", "CT", None),
        ("CTChest", "CT", None),
        ("CTACardio", "CT", None),
        ("MRHead", "MR", None),
        ("MRBrainTumor1", "MR", None),
        ("kneeMR", "MR", None),
        ("brats_2013_pat0001_1_FLAIR", "MR", "FLAIR"),
        ("brats_2013_pat0001_1_T1c", "MR", "T1c"),
        ("MR_Gd", "MR", "T1c"),
        ("MS_patient07_T1POST", "MR", "T1c"),
        ("sub-01_ce-gadolinium_T1w", "MR", "T1c"),
        ("T1 pre contrast", "MR", "T1"),
        ("AX T1 POST-OP", "MR", "T1"),
        ("chris_PD", "MR", "PD"),
        ("M2208_T2w", "MR", "T2"),
        ("TCGA-BC-4073_HASTE_MR", "MR", "T2"),
        ("UCSF-BR-06_DCE1", "MR", "T1"),
        ("AX T2 FLAIR", "MR", "FLAIR"),
        ("AX T1 FLAIR", "MR", "T1"),
        ("t1_t2_difference", "MR", None),
        ("patient_T1_CT", "CT", "T1"),
        ("CT_to_MR", None, None),
        ("test_scan", None, None),
        ("effect_of_dose", None, None),
        ("CPTAC-PDA_C3L-00189", None, None),
        ("tumour stage T1N0M0", None, None),
    ],
)
def test_a_name_says_modality_and_sequence(name: str, modality: str | None, sequence: str | None) -> None:
    assert modality_from_words(name) == modality
    assert sequence_from_words(name) == sequence


def test_hounsfield_units_are_recognised_and_other_scales_are_not() -> None:
    random = np.random.default_rng(0)
    body, air = random.normal(40, 60, 700), random.normal(-990, 15, 300)
    assert looks_like_ct(np.concatenate([body, air]))
    assert not looks_like_ct(body), "a crop without air could be anything"
    assert not looks_like_ct(random.gamma(2, 200, 1000)), "MR magnitudes"
    assert not looks_like_ct(random.normal(0, 1, 1000)), "z-scored MR"
    assert not looks_like_ct(random.uniform(-4096, 4095, 10000)[:, None] * [0.5, 1.0] - 1500), "MR phase"


def test_what_was_asked_for_overrules_the_name_but_not_the_metadata() -> None:
    assert resolve_modality("CT", None, "head_MR", NOTHING) == "CT"
    assert resolve_modality("mri", None, "scan", NOTHING) == "MR"
    assert resolve_modality("MR", "OT", "scan", NOTHING) == "MR"
    with pytest.raises(ScanError, match="CT by its own metadata, but MR"):
        resolve_modality("MR", "CT", "scan", NOTHING)
    with pytest.raises(ScanError, match="'PET' is not known"):
        resolve_modality("PET", None, "scan", NOTHING)
    with pytest.raises(ScanError, match="modality is US"):
        resolve_modality(None, "US", "scan", NOTHING)


def test_an_unknown_sequence_or_one_for_a_ct_is_refused() -> None:
    assert resolve_sequence("T1 post contrast", "MR", "") == "T1c"
    assert resolve_sequence(None, "MR", "head_FLAIR") == "FLAIR"
    assert resolve_sequence(None, "CT", "patient_T1_CT") is None
    with pytest.raises(ScanError, match="Give one of T1, T1c, T2, FLAIR, PD"):
        resolve_sequence("BOLD", "MR", "")
    with pytest.raises(ScanError, match="only MR has one"):
        resolve_sequence("T1", "CT", "")


def test_metadata_of_several_formats_state_the_modality() -> None:
    assert stated_modality({"0008|0060": "CT "}) == "CT"
    assert stated_modality({"0008|0060": "PT"}) == "PT"
    assert stated_modality({"Modality": "mri"}) == "MR"
    assert stated_modality({"modality": "T1w", "descrip": "FSL"}) is None
