"""Examples of descriptions by region of the body.

The descriptions stay in English, the language the models were taught; the regions are shown in the user's.
"""

from __future__ import annotations

from slicer.i18n import tr as _


def examples_by_region() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(region, descriptions) in the order of a menu."""
    return (
        (_("Limbs and soft tissue"), ("soft tissue sarcoma", "soft tissue sarcoma of the thigh", "liposarcoma")),
        (_("Head"), ("glioblastoma", "brain metastasis", "meningioma")),
        (_("Neck"), ("thyroid nodule", "enlarged lymph node of the neck")),
        (_("Chest"), ("lung cancer", "pulmonary nodule", "mediastinal mass")),
        (_("Liver"), ("hypodense liver metastasis", "hepatocellular carcinoma")),
        (_("Abdomen"), ("renal cell carcinoma", "pancreatic ductal adenocarcinoma", "colon cancer")),
        (_("Pelvis"), ("prostate cancer", "bladder cancer")),
        (_("Bone"), ("osteosarcoma", "bone metastasis")),
    )
