"""Health is told from disease, negation included."""

from __future__ import annotations

import pytest

from diffugts.descriptions.normality import describes_health
from diffugts.descriptions.vocabulary import Vocabulary, load_vocabulary


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return load_vocabulary()


@pytest.mark.parametrize(
    "text",
    [
        "a healthy thigh",
        "normal liver",
        "healthy",
        "no tumor",
        "no tumor in the liver",
        "liver without tumor",
        "tumor-free kidney",
        "tumor free kidney",
        "unremarkable pancreas",
        "no evidence of disease in the pelvis",
        "no mass, nodule or lesion in the liver",
        "thigh with no mass",
        "liver metastasis excluded",
        "tumor not seen",
        "Normal brain. No lesion.",
        "NORMAL LIVER",
    ],
)
def test_health_is_recognised(text: str, vocabulary: Vocabulary) -> None:
    assert describes_health(text, vocabulary)


@pytest.mark.parametrize(
    "text",
    [
        "liver",
        "liver tumor",
        "abnormal mass",
        "abnormal liver",
        "otherwise normal liver with a lesion",
        "hypodense lesion in normal liver",
        "normal-sized kidney with a tumor",
        "tumor without edema",
        "no edema but a large tumor",
        "no tumor in the left kidney, mass in the right kidney",
        "no tumor in the liver and a mass in the kidney",
        "non-enhancing tumor",
        "not a healthy liver",
        "unhealthy thigh",
        "rule out metastasis",
        "normal pressure hydrocephalus",
        "clear cell carcinoma",
        "purple elephant",
        "no purple elephant",
        "",
    ],
)
def test_disease_places_and_nonsense_are_not_health(text: str, vocabulary: Vocabulary) -> None:
    assert not describes_health(text, vocabulary)
