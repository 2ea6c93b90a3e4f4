"""The paper's nine tasks, how each is asked here, and whose figure stands beside ours.

The authors' figures are their own (Jiang et al., CVPR 2025), DSC in per cent, quoted as published. How they split, which
sequences they read and how they cut maps into masks is not known here: the rows can be run, not reproduced to the digit.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffugts.evaluation.lesionwise import GLIOMA_RULES, MENINGIOMA_RULES, METASTASIS_RULES, LesionRules

LEAVE_ONE_ORGAN_OUT = (
    "Leave one organ out: a model is evaluated on an organ's tumours only if no marked tumour of that organ was in the "
    "training of its heads. Generated lesions and the foundation's unmarked scans are not marked tumours; both are told."
)


@dataclass(frozen=True)
class Task:
    """One task of a public data set.

    `tumour_labels` are the label values that count as tumour, all others are background; `sequence` the channel that is
    read where a case has several; `organ` is what must be left out of training.
    """

    key: str
    title: str
    organ: str
    modality: str
    description: str
    tumour_labels: tuple[int, ...]
    left_aside: str = ""
    sequence: str | None = None
    authors_dsc: float | None = None
    rules: LesionRules = GLIOMA_RULES


MSD_TASKS: dict[str, Task] = {
    task.key: task
    for task in (
        Task("Task01", "MSD Brain", "brain", "MR", "glioma", (1, 2, 3), "", "FLAIR", 47.51),
        Task("Task03", "MSD Liver", "liver", "CT", "liver tumour", (2,), "1 liver", None, 63.23),
        Task("Task06", "MSD Lung", "lung", "CT", "lung cancer", (1,), "", None, 42.94),
        Task("Task07", "MSD Pancreas", "pancreas", "CT", "pancreatic tumour", (2,), "1 pancreas", None, 43.61),
        Task("Task08", "MSD Hepatic Vessel", "liver", "CT", "liver tumour", (2,), "1 vessels", None, 62.76),
        Task("Task10", "MSD Colon", "colon", "CT", "colon cancer", (1,), "", None, 38.72),
    )
}
"""By the number in the folder's name; Task02, 04, 05 and 09 hold no tumours."""

KITS = Task("KiTS23", "KiTS23", "kidney", "CT", "renal tumour", (2,), "1 kidney, 3 cyst", None, 59.8)

BRATS_TASKS: dict[str, Task] = {
    task.key: task
    for task in (
        Task("GLI", "BraTS23", "brain", "MR", "glioma", (1, 2, 3), "", "FLAIR", 44.7),
        Task("SSA", "BraTS23 Africa", "brain", "MR", "glioma", (1, 2, 3), "", "FLAIR"),
        Task("PED", "BraTS23 paediatric", "brain", "MR", "glioma", (1, 2, 3), "", "FLAIR"),
        Task("MEN", "BraTS23 meningioma", "brain", "MR", "meningioma", (1, 2, 3), "", "T1c", None, MENINGIOMA_RULES),
        Task(
            "MET", "BraTS23 metastasis", "brain", "MR", "brain metastasis", (1, 2, 3), "", "T1c", None, METASTASIS_RULES
        ),
    )
}
"""By the challenge's letters in the case names: the whole tumour (1 necrosis, 2 oedema, 3 enhancing)."""

IN_HOUSE_MRI_LIVER = Task(
    "in-house", "In-house MRI liver", "liver", "MR", "liver tumour", (1,), "not public", None, 50.31
)

PAPER_ROWS: tuple[Task, ...] = (
    MSD_TASKS["Task03"],
    MSD_TASKS["Task07"],
    MSD_TASKS["Task06"],
    MSD_TASKS["Task10"],
    MSD_TASKS["Task08"],
    MSD_TASKS["Task01"],
    KITS,
    BRATS_TASKS["GLI"],
    IN_HOUSE_MRI_LIVER,
)
"""In the order of docs/evaluation.md, which a test holds against this."""
