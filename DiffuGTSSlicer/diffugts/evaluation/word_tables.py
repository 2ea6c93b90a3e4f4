"""Texts of the words benchmark: for each kind of tumour what means the same, and what means something else.

None of them was chosen by what a model makes of it. Paraphrases avoid the words that training draws from
(`descriptions/training_words.py`, HELD_OUT_SYNONYMS), as far as there is another way to say it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wordings:
    """How one kind of tumour may be asked for.

    `asked_as` are the descriptions by which data sets name it, the first is the reference; `synonyms` say the same in
    other usual words, `paraphrases` in unusual ones; `place` and `other_place` name where it is, and another organ that
    the same scan may show; `absent` are tumours of the same region that are not there; `sided` whether left and right
    are a matter of course.
    """

    organ: str
    region: str
    asked_as: tuple[str, ...]
    synonyms: tuple[str, ...]
    paraphrases: tuple[str, ...]
    place: str
    other_place: str
    absent: tuple[str, ...]
    sided: bool = False

    @property
    def reference(self) -> str:
        return self.asked_as[0]


WORDINGS: tuple[Wordings, ...] = (
    Wordings(
        "thigh",
        "extremity",
        ("soft tissue sarcoma", "soft tissue sarcoma in the thigh"),
        ("soft-tissue sarcoma", "STS", "liposarcoma", "soft tissue mass", "malignant soft tissue tumour"),
        ("malignant neoplasm of the leg", "fleshy growth in the thigh muscle", "cancer of the connective tissue"),
        "thigh",
        "femur",
        ("osteosarcoma of the femur", "bone metastasis", "enlarged inguinal lymph node"),
    ),
    Wordings(
        "brain",
        "head",
        ("glioma",),
        ("glioblastoma", "GBM", "high-grade glioma", "astrocytoma", "glial tumour"),
        ("intracranial neoplasm", "malignant brain growth", "tumour arising from glial cells"),
        "brain",
        "orbit",
        ("pituitary adenoma", "vestibular schwannoma", "retinoblastoma"),
        True,
    ),
    Wordings(
        "brain",
        "head",
        ("brain metastasis",),
        ("cerebral metastasis", "brain metastases", "metastatic brain lesion"),
        ("secondary deposit in the brain", "cancer that has spread to the brain"),
        "brain",
        "orbit",
        ("pituitary adenoma", "vestibular schwannoma", "retinoblastoma"),
        True,
    ),
    Wordings(
        "brain",
        "head",
        ("meningioma",),
        ("meningeal tumour", "extra-axial mass", "atypical meningioma"),
        ("dural-based tumor", "growth from the coverings of the brain"),
        "brain",
        "orbit",
        ("pituitary adenoma", "retinoblastoma", "ependymoma of the fourth ventricle"),
        True,
    ),
    Wordings(
        "lung",
        "chest",
        ("lung cancer",),
        ("lung carcinoma", "NSCLC", "lung tumour", "pulmonary mass", "lung adenocarcinoma"),
        ("bronchogenic carcinoma", "coin lesion of the lung", "cancer of the airways' tissue in the chest"),
        "lung",
        "oesophagus",
        ("breast cancer", "thymoma", "oesophageal cancer"),
        True,
    ),
    Wordings(
        "liver",
        "abdomen",
        ("liver metastasis",),
        ("hepatic metastasis", "liver metastases", "CRLM", "metastatic liver lesion", "liver lesion"),
        ("secondary deposits in the liver", "cancer that has spread to the liver"),
        "liver",
        "spleen",
        ("renal cell carcinoma", "pancreatic cancer", "adrenal mass"),
    ),
    Wordings(
        "liver",
        "abdomen",
        ("liver tumour",),
        ("hepatic tumour", "liver cancer", "HCC", "hepatic mass", "hepatocellular carcinoma"),
        ("hepatic malignancy", "malignancy of hepatic origin", "growth in the right upper abdominal organ"),
        "liver",
        "spleen",
        ("renal cell carcinoma", "pancreatic cancer", "adrenal mass"),
    ),
    Wordings(
        "kidney",
        "abdomen",
        ("renal tumour",),
        ("kidney tumour", "renal cell carcinoma", "RCC", "renal mass", "kidney cancer"),
        ("renal malignancy", "hypernephroma", "cancer of the organ that makes urine"),
        "kidney",
        "spleen",
        ("liver metastasis", "pancreatic cancer", "adrenal mass"),
        True,
    ),
    Wordings(
        "pancreas",
        "abdomen",
        ("pancreatic tumour",),
        ("pancreatic cancer", "PDAC", "pancreas tumour", "pancreatic mass", "pancreatic ductal adenocarcinoma"),
        ("growth in the tail or head of the pancreas", "malignancy of the gland behind the stomach"),
        "pancreas",
        "spleen",
        ("liver metastasis", "renal cell carcinoma", "adrenal mass"),
    ),
    Wordings(
        "colon",
        "abdomen",
        ("colon cancer",),
        ("colorectal cancer", "CRC", "colon carcinoma", "bowel cancer", "colonic tumour"),
        ("malignant stricture of the large bowel", "cancer of the gut wall"),
        "colon",
        "kidney",
        ("liver metastasis", "renal cell carcinoma", "pancreatic cancer"),
    ),
)

OF_OTHER_ORGANS: dict[str, tuple[str, ...]] = {
    "head": ("glioma", "meningioma"),
    "chest": ("lung cancer", "breast cancer"),
    "abdomen": ("liver metastasis", "renal cell carcinoma", "pancreatic cancer"),
    "pelvis": ("prostate cancer", "bladder cancer", "cervical cancer"),
    "extremity": ("soft tissue sarcoma of the thigh",),
}
"""Tumours by region, asked for on scans of the others."""

HEALTHY = ("a healthy {organ}", "normal {organ}", "no tumour in the {organ}", "{organ} without a mass")
NONSENSE = ("purple elephant invoice", "the train leaves at seven", "asdf qwer xyzzy", "good coffee in the garden")
DENSITY = {"CT": ("hypodense", "hyperdense"), "MR": ("hypointense", "hyperintense")}
"""Words for darker and for brighter than what lies around."""


def wordings_of(description: str) -> Wordings | None:
    """The wordings of what a data set asks for; None for a description that is in no table."""
    wanted = description.strip().lower()
    return next((w for w in WORDINGS if wanted in w.asked_as), None)
