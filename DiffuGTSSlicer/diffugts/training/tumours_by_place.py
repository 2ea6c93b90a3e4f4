"""Which tumours grow where, and what the scans of the training collection hold.

Kinds are the findings of `descriptions/findings.tsv`, as descriptions call them.
"""

from __future__ import annotations

from diffugts.generated.tissue import LesionKind
from diffugts.training.generated_volumes import ORGAN_NAMES, PREFIX

ORGAN_OF_MARKED = {"LIDC-": "lung"}
"""By name prefix: the organ of the tumours marked in scans that are no sarcomas."""

KIND_IN_ORGAN = {"lung": LesionKind.LUNG, "bone": LesionKind.BONE, "brain": LesionKind.BRAIN}
"""By organ: what grows there; in others it is SOFT."""

LIMB_PARTS = ("thigh", "thigh", "thigh", "lower leg", "leg", "limb", "knee", "buttock", "upper arm", "shoulder", None)
"""Where the sarcoma collection's tumours lie; the index says no more than "extremity"."""

ORGANS: dict[str, dict[int, str]] = {
    "CCTH-A01": {1: "liver", 2: "lung", 3: "lung", 4: "small bowel", 5: "bladder", 6: "bone", 7: "bone"},
    "example_ct_upper_abdomen": {1: "spleen", 2: "kidney", 3: "kidney", 5: "liver", 6: "stomach", 7: "pancreas"},
    PREFIX: ORGAN_NAMES,
}
"""Label values of the scans whose organs are known, by name prefix."""

KINDS_OF_ORGAN: dict[str, tuple[str, ...]] = {
    "liver": ("hepatocellular carcinoma", "liver metastasis", "cholangiocarcinoma"),
    "lung": ("lung cancer", "lung nodule"),
    "kidney": ("renal cell carcinoma",),
    "pancreas": ("pancreatic cancer",),
    "bladder": ("bladder cancer",),
    "bone": ("bone tumor",),
    "brain": ("glioma", "glioma", "brain metastasis", "meningioma"),
    "thigh": ("soft tissue sarcoma",),
}

CATEGORIES = {"soft tissue": "thigh"} | {organ: organ for organ in KINDS_OF_ORGAN if organ != "thigh"}
"""What can be left out of training, and the organ that it is here: sarcomas are called by where they lie."""

TUMOURS_OF_REGION: dict[str, tuple[tuple[str, str], ...]] = {
    "head": (("glioma", "brain"), ("brain metastasis", "brain"), ("meningioma", "brain")),
    "extremity": (("soft tissue sarcoma", "thigh"),),
    "chest": (("lung cancer", "lung"), ("lung nodule", "lung")),
    "abdomen": (
        ("liver metastasis", "liver"),
        ("hepatocellular carcinoma", "liver"),
        ("renal cell carcinoma", "kidney"),
        ("pancreatic cancer", "pancreas"),
    ),
}
"""By region: kinds and organs of tumours that a scan of it may be asked for where there are none."""

REGION_OF_BODY_PART = {
    "brain": "head",
    "thorax": "chest",
    "abdomen": "abdomen",
    "pelvis": "pelvis",
    "extremity": "extremity",
    "breast": "chest",
}
