"""The words that training texts are drawn from: kinds of tumour with their synonyms, organs, looks, nonsense.

Tables to be read and corrected; `training_texts.py` draws from them. All in American spelling.
"""

from __future__ import annotations

from dataclasses import dataclass

HELD_OUT_SYNONYMS = (
    "malignant neoplasm of the leg",
    "fleshy growth in the thigh muscle",
    "cancer of the connective tissue",
    "tumorous process in the calf",
    "malignancy of hepatic origin",
    "hepatic malignancy",
    "secondary deposits in the liver",
    "renal malignancy",
    "hypernephroma",
    "bronchogenic carcinoma",
    "coin lesion of the lung",
    "intracranial neoplasm",
    "malignant brain growth",
    "dural-based tumor",
    "growth in the tail or head of the pancreas",
    "malignant stricture of the large bowel",
    "urothelial malignancy",
    "malignancy of the prostate gland",
    "neoplasm of the uterine cervix",
    "mammary malignancy",
    "skeletal deposit",
    "pathological lymph gland",
)
"""Wordings kept for a paraphrase test: no drawn text contains one of them."""


@dataclass(frozen=True)
class TumourKind:
    """A kind of tumour: the words for it, the organs it is trained in (empty: any) and whether they name the organ."""

    words: tuple[str, ...]
    organs: tuple[str, ...] = ()
    names_organ: bool = False


KINDS: dict[str, TumourKind] = {
    "soft tissue sarcoma": TumourKind(
        (
            "soft tissue sarcoma", "sarcoma", "soft-tissue sarcoma", "soft tissue tumor", "soft tissue mass", "STS",
            "liposarcoma", "myxoid liposarcoma", "well-differentiated liposarcoma", "dedifferentiated liposarcoma",
            "leiomyosarcoma", "malignant fibrous histiocytoma", "MFH", "undifferentiated pleomorphic sarcoma", "UPS",
            "synovial sarcoma", "fibrosarcoma", "myxofibrosarcoma", "extraskeletal osteosarcoma", "rhabdomyosarcoma",
            "high-grade sarcoma", "pleomorphic sarcoma", "spindle cell sarcoma", "intramuscular mass",
            "malignant soft tissue tumor", "MPNST", "angiosarcoma", "epithelioid sarcoma", "deep soft tissue lump",
        ),
        ("thigh", "lower leg", "upper arm", "forearm", "buttock", "shoulder", "knee", "leg", "arm", "limb", "groin"),
    ),
    "glioma": TumourKind(
        (
            "glioma", "glioblastoma", "GBM", "high-grade glioma", "low-grade glioma", "astrocytoma", "HGG", "LGG",
            "oligodendroglioma", "anaplastic astrocytoma", "diffuse glioma", "glioblastoma multiforme",
            "glial tumor", "infiltrating glioma",
        ),
        ("brain",),
    ),
    "brain metastasis": TumourKind(
        ("brain metastasis", "brain met", "cerebral metastasis", "metastatic brain lesion", "brain metastases"),
        ("brain",), True,
    ),
    "meningioma": TumourKind(("meningioma", "atypical meningioma", "meningeal tumor", "extra-axial mass"), ("brain",)),
    "lung cancer": TumourKind(
        (
            "lung cancer", "lung carcinoma", "NSCLC", "non-small cell lung cancer", "lung adenocarcinoma",
            "pulmonary malignancy", "small cell lung cancer", "lung tumor", "pulmonary mass", "lung mass",
            "squamous cell carcinoma of the lung", "primary lung malignancy",
        ),
        ("lung",), True,
    ),
    "lung nodule": TumourKind(
        (
            "lung nodule", "pulmonary nodule", "solid pulmonary nodule", "nodule in the lung", "ground-glass nodule",
            "lung metastasis", "pulmonary metastasis", "spiculated lung nodule", "solitary pulmonary nodule",
        ),
        ("lung",), True,
    ),
    "hepatocellular carcinoma": TumourKind(
        (
            "hepatocellular carcinoma", "HCC", "liver cancer", "liver carcinoma", "hepatoma", "primary liver cancer",
            "liver tumor", "hepatic tumor", "hepatic mass",
        ),
        ("liver",), True,
    ),
    "liver metastasis": TumourKind(
        (
            "liver metastasis", "hepatic metastasis", "liver metastases", "liver met", "colorectal liver metastasis",
            "CRLM", "metastatic liver lesion", "metastasis in the liver", "liver lesion", "hepatic lesion",
        ),
        ("liver",), True,
    ),
    "cholangiocarcinoma": TumourKind(
        ("cholangiocarcinoma", "intrahepatic cholangiocarcinoma", "CCA",
            "peripheral cholangiocarcinoma of the liver"), ("liver",)
    ),
    "renal cell carcinoma": TumourKind(
        (
            "renal cell carcinoma", "RCC", "kidney cancer", "kidney tumor", "renal tumor", "renal mass", "ccRCC",
            "clear cell renal cell carcinoma", "papillary renal cell carcinoma", "kidney mass", "renal lesion",
        ),
        ("kidney",), True,
    ),
    "pancreatic cancer": TumourKind(
        (
            "pancreatic ductal adenocarcinoma", "PDAC", "pancreatic cancer", "pancreas tumor", "pancreatic mass",
            "pancreatic carcinoma", "pancreatic neuroendocrine tumor", "pancreatic lesion", "tumor of the pancreas",
        ),
        ("pancreas",), True,
    ),
    "colon cancer": TumourKind(
        (
            "colon cancer", "colorectal cancer", "CRC", "colon carcinoma", "sigmoid mass", "cecal tumor",
            "bowel cancer", "adenocarcinoma of the colon", "colonic tumor", "rectosigmoid cancer",
        ),
        ("colon",), True,
    ),
    "rectal cancer": TumourKind(("rectal cancer", "rectal tumor", "adenocarcinoma of the rectum"), ("rectum",), True),
    "bladder cancer": TumourKind(
        ("bladder cancer", "bladder tumor", "urothelial carcinoma of the bladder", "TCC", "bladder wall mass"),
        ("bladder",), True,
    ),
    "prostate cancer": TumourKind(
        ("prostate cancer", "prostatic carcinoma", "prostate tumor", "prostate lesion", "PCa"), ("prostate",), True
    ),
    "cervical cancer": TumourKind(
        ("cervical cancer", "carcinoma of the cervix", "cervix tumor", "uterine cervix carcinoma"), ("cervix",), True
    ),
    "uterine tumor": TumourKind(("endometrial cancer", "uterine tumor", "uterine mass"), ("uterus",), True),
    "ovarian cancer": TumourKind(("ovarian cancer", "ovarian mass", "adnexal mass", "ovarian tumor"), ("ovary",), True),
    "breast cancer": TumourKind(
        (
            "breast cancer", "breast carcinoma", "breast tumor", "breast mass", "invasive ductal carcinoma",
            "lesion of the breast", "invasive lobular carcinoma of the breast",
        ),
        ("breast",), True,
    ),
    "bone tumor": TumourKind(
        (
            "bone tumor", "osteosarcoma", "bone metastasis", "lytic bone lesion", "Ewing sarcoma of bone",
            "chondrosarcoma", "sclerotic bone lesion", "osseous metastasis",
        ),
        ("bone", "spine"), True,
    ),
    "lymph node metastasis": TumourKind(
        (
            "lymph node metastasis", "enlarged lymph node", "lymphadenopathy", "LN metastasis", "nodal metastasis",
            "malignant lymph node", "nodal lymphoma", "bulky lymph nodes",
        ),
        ("lymph node",), True,
    ),
    "gastric cancer": TumourKind(("gastric cancer", "stomach tumor", "GIST", "stomach cancer"), ("stomach",), True),
    "adrenal tumor": TumourKind(
        ("adrenal mass", "adrenal metastasis", "adrenal tumor", "pheochromocytoma"), ("adrenal gland",), True
    ),
    "splenic lesion": TumourKind(("splenic lesion", "spleen tumor", "splenic mass"), ("spleen",), True),
    "thyroid tumor": TumourKind(("thyroid cancer", "thyroid nodule", "thyroid tumor"), ("thyroid",), True),
    "esophageal cancer": TumourKind(("esophageal cancer", "tumor of the esophagus"), ("esophagus",), True),
    "mediastinal mass": TumourKind(("mediastinal mass", "thymoma", "mediastinal tumor"), ("mediastinum",), True),
    "head and neck cancer": TumourKind(
        ("laryngeal cancer", "throat tumor", "laryngeal mass", "oropharyngeal carcinoma"), ("larynx",), True
    ),
}  # fmt: skip
"""The kinds that training words, each with its synonyms. Read only."""

GENERIC = (
    "tumor", "a tumor", "tumour", "abnormal mass", "suspicious lesion", "a lesion", "an abnormal mass", "mass",
    "malignant tumor", "abnormality", "cancer", "a suspicious mass", "neoplasm", "anything abnormal", "malignancy",
    "pathological finding", "suspected tumor", "any tumor", "primary tumor", "lump", "growth", "GTV",
)  # fmt: skip

PLACE_NOUNS = ("tumor", "mass", "lesion", "neoplasm", "malignant tumor", "nodule", "cancer", "suspicious lesion")

ORGAN_WORDS: dict[str, tuple[str, ...]] = {
    "thigh": ("thigh", "thigh muscle", "upper leg", "quadriceps", "hamstring muscles", "adductor compartment"),
    "lower leg": ("calf", "lower leg", "calf muscle", "gastrocnemius"),
    "upper arm": ("upper arm", "biceps", "triceps"),
    "forearm": ("forearm", "elbow region"),
    "buttock": ("buttock", "gluteal muscle", "gluteus maximus"),
    "shoulder": ("shoulder", "deltoid muscle", "scapular region"),
    "knee": ("knee", "knee region"),
    "leg": ("leg", "lower limb", "lower extremity"),
    "arm": ("arm", "upper limb", "upper extremity"),
    "limb": ("limb", "extremity", "soft tissues of the limb", "muscle"),
    "brain": ("brain", "cerebrum", "frontal lobe", "temporal lobe", "cerebral hemisphere"),
    "lung": ("lung", "upper lobe of the lung", "lower lobe of the lung", "perihilar lung"),
    "liver": ("liver", "right hepatic lobe", "left hepatic lobe", "liver segment VIII"),
    "kidney": ("kidney", "upper pole of the kidney", "renal cortex"),
    "pancreas": ("pancreas", "pancreatic head", "pancreatic tail"),
    "colon": ("colon", "sigmoid colon", "cecum", "bowel"),
    "bone": ("bone", "femur", "pelvic bone", "vertebra"),
    "spine": ("spine", "vertebral body"),
    "lymph node": ("lymph node",),
}
"""Words for organs beside their canonical names."""

ORGANS_OF_REGION: dict[str, tuple[str, ...]] = {
    "head": ("brain",),
    "neck": ("thyroid", "larynx"),
    "chest": ("lung", "breast", "mediastinum", "esophagus"),
    "abdomen": ("liver", "kidney", "pancreas", "spleen", "stomach", "adrenal gland", "colon"),
    "pelvis": ("bladder", "prostate", "cervix", "uterus", "ovary", "rectum"),
    "extremity": ("thigh", "lower leg", "upper arm", "forearm", "buttock", "shoulder", "knee"),
}
"""Organs by the region they lie in, for the texts of other organs. Colon counts as abdomen and pelvis."""

REGION_WORDS: dict[str, tuple[str, ...]] = {
    "head": ("head",),
    "neck": ("neck",),
    "chest": ("chest", "thorax"),
    "abdomen": ("abdomen", "upper abdomen"),
    "pelvis": ("pelvis",),
    "spine": ("spine",),
    "extremity": ("limb", "extremity", "soft tissues", "muscle"),
}

LOOKS = {
    "CT": ("hypodense", "isodense", "enhancing", "heterogeneous", "necrotic", "low-density", "solid"),
    "MR": ("hyperintense", "hypointense", "enhancing", "heterogeneous", "necrotic", "cystic", "solid", "bright"),
}
HEALTHY = (
    "normal {organ}", "healthy {organ}", "a healthy {organ}", "{organ} without tumor", "no tumor in the {organ}",
    "unremarkable {organ}", "no abnormality of the {organ}", "tumor-free {organ}",
    "no evidence of disease in the {organ}",
)  # fmt: skip
HEALTHY_ANYWHERE = ("no abnormality", "no tumor", "healthy tissue", "normal anatomy", "no lesion", "unremarkable scan")
NONSENSE_WORDS = (
    "purple", "elephant", "invoice", "tomorrow", "bicycle", "sings", "under", "table", "coffee", "quick", "fox", "asdf",
    "qwer", "xyzzy", "holiday", "train", "window", "music", "paper", "lamp", "garden", "blue", "river", "seven",
    "happy", "price", "market", "football", "keyboard", "pizza", "cloud", "password", "lorem", "ipsum", "dolor", "amet",
    "hello",
)  # fmt: skip
