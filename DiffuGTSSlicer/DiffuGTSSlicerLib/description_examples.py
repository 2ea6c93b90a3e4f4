"""Examples of descriptions by region of the body: all are among those that a model has prepared.

The descriptions stay in English, the language the models were taught; the regions are shown in the user's.
"""

from __future__ import annotations

from slicer.i18n import tr as _


def examples_by_region() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(region, descriptions) in the order of a menu."""
    return (
        (_("Limbs and soft tissue"), ("soft tissue sarcoma", "liposarcoma", "soft tissue mass")),
        (_("Head"), ("glioblastoma", "brain metastasis", "meningioma")),
        (_("Neck"), ("thyroid nodule", "lymph node mass")),
        (_("Chest"), ("lung cancer", "pulmonary nodule", "mediastinal mass")),
        (_("Liver"), ("hypodense liver metastasis", "hepatocellular carcinoma")),
        (_("Abdomen"), ("renal cell carcinoma", "pancreatic ductal adenocarcinoma", "colon cancer")),
        (_("Pelvis"), ("prostate cancer", "bladder cancer")),
        (_("Bone"), ("osteosarcoma", "bone metastasis")),
    )
