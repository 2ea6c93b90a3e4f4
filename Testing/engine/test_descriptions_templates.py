"""Every description becomes a prompt of the normal state and one of what was typed."""

from __future__ import annotations

import pytest

from diffugts.descriptions.description import parse_descriptions
from diffugts.descriptions.templates import PromptPair, prompt_pair, scan_name


def pair(text: str, modality: str = "CT", sequence: str | None = None) -> PromptPair:
    (description,) = parse_descriptions(text)
    return prompt_pair(description, modality, sequence)


def test_prompts_name_the_scan_the_organ_and_what_was_typed() -> None:
    assert pair("hypodense liver metastasis") == PromptPair(
        "a normal CT scan of the liver", "an abnormal CT scan: hypodense liver metastasis"
    )
    assert pair("sarcoma of a limb", "MR", "T1").normal == "a normal T1-weighted MRI of the limb"
    assert pair("a tumour", "MR").normal == "a normal MRI"


def test_health_is_repeated_and_not_called_abnormal() -> None:
    prompts = pair("a healthy thigh")
    assert "a healthy thigh" in prompts.abnormal
    assert "abnormal" not in prompts.abnormal
    assert prompts.normal == "a normal CT scan of the thigh"


@pytest.mark.parametrize(
    ("modality", "sequence", "name"),
    [
        ("CT", None, "CT scan"),
        ("MR", None, "MRI"),
        ("MR", "T1", "T1-weighted MRI"),
        ("MR", "T1c", "contrast-enhanced T1-weighted MRI"),
        ("MR", "T2", "T2-weighted MRI"),
        ("MR", "FLAIR", "FLAIR MRI"),
        ("MR", "something new", "MRI"),
    ],
)
def test_scans_are_named_in_words(modality: str, sequence: str | None, name: str) -> None:
    assert scan_name(modality, sequence) == name


def test_a_nonsense_description_still_gets_its_own_prompt() -> None:
    assert pair("purple elephant") == PromptPair("a normal CT scan", "an abnormal CT scan: purple elephant")
