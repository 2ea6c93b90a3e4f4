"""SNOMED CT concepts that segments are coded with, each with the words of a description that stand for it.

One table for 3D Slicer's segments and for DICOM segmentations. Types are those of DICOM CID 7159 (lesion segmentation
types), regions those of DICOM's anatomic lists; meanings are worded as in Slicer. Slicer's own list "DICOM master list"
offers all of them for choosing, except those marked here. Every code is held against DICOM's dictionary by
Testing/slicer/test_lib_terminology.py.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CodedConcept:
    """A SNOMED CT concept.

    Args:
        code: its identifier.
        meaning: its name, as Slicer shows it.
        words: a regular expression of the words that name it, in lower case.
        paired: whether there is a left and a right one.
    """

    code: str
    meaning: str
    words: str = ""
    paired: bool = False

    def __str__(self) -> str:
        """As in a terminology entry of Slicer."""
        return f"SCT^{self.code}^{self.meaning}"


ALTERED_STRUCTURE = CodedConcept("49755003", "Morphologically Altered Structure")
MASS = CodedConcept("4147007", "Mass", r"mass(es)?|lumps?|hamartomas?")
NEOPLASM = CodedConcept(
    "108369006",
    "Neoplasm",
    r"tumou?rs?|neoplas(m|ms|ia)|cancers?|malignanc(y|ies)|\w+omas?|\w+omata|carcinoids?|desmoids?|fibroids?|leuka?emia"
    r"|hcc|rcc|gbm|nsclc|sclc|gist|pdac|gtv",
)
SECONDARY = CodedConcept("14799000", "Neoplasm, Secondary", r"metasta\w+|mets|secondar(y|ies)|crlm|carcinomatosis")
LESION = CodedConcept("52988006", "Lesion", r"lesions?")  # of CID 7159; not in Slicer's list

TYPES: tuple[CodedConcept, ...] = (
    SECONDARY,
    CodedConcept("79654002", "Edema", r"o?edemas?"),
    CodedConcept("6574001", "Necrosis", r"necros[ie]s"),
    CodedConcept("367643001", "Cyst", r"(pseudo)?cysts?"),
    CodedConcept("50960005", "Hemorrhage", r"ha?emorrhages?|bleeding|ha?ematomas?"),
    CodedConcept("75753009", "Blood clot", r"(blood )?clots?|thromb(us|i|osis)"),
    CodedConcept("55584005", "Embolus", r"embol(us|i|ism)"),
    CodedConcept("44132006", "Abscess", r"abscess(es)?"),
    CodedConcept("23583003", "Inflammation", r"inflammations?|granulomas?|xanthomas?|tuberculomas?|mycetomas?"),
    CodedConcept("27925004", "Nodule", r"nodules?"),
    LESION,
    MASS,
    NEOPLASM,
)
"""Where the words of two fit at one place, the earlier counts: a haematoma is a haemorrhage, not a neoplasm."""

NO_FINDING = r"stromas?|atheromas?|glaucomas?|comas?|seromas?|bilomas?|urinomas?"
"""Words that end as the names of neoplasms do and name none."""

LEFT, RIGHT = CodedConcept("7771000", "Left"), CodedConcept("24028007", "Right")

REGIONS: tuple[CodedConcept, ...] = (
    CodedConcept("12738006", "Brain", r"brain(?! ?stem)|cerebral|cerebrum|intracranial"),
    CodedConcept("113305005", "Cerebellum", r"cerebell(um|ar)"),
    CodedConcept("119238007", "Brain stem", r"brain ?stem|pons|pontine"),
    CodedConcept("56329008", "Pituitary", r"pituitary|hypophys\w+"),
    CodedConcept("363654007", "Orbital structure", r"orbit(al)?", paired=True),
    CodedConcept("89546000", "Skull", r"skull|calvari\w+|cranium"),
    CodedConcept("91609006", "Mandible", r"mandib\w+"),
    CodedConcept("21974007", "Tongue", r"tongue"),
    CodedConcept("45289007", "Parotid gland", r"parotid", paired=True),
    CodedConcept("4596009", "Larynx", r"larynx|laryngeal|glott\w+"),
    CodedConcept("54066008", "Pharynx", r"pharynx|pharyngeal"),
    CodedConcept("69748006", "Thyroid", r"thyroid"),
    CodedConcept("59441001", "Lymph node", r"lymph nodes?|nodal"),
    CodedConcept("39607008", "Lung", r"lungs?|pulmonary|bronchogenic", paired=True),
    CodedConcept("3120008", "Pleura", r"pleura|pleural", paired=True),
    CodedConcept("72410000", "Mediastinum", r"mediastin\w+"),
    CodedConcept("9875009", "Thymus Gland", r"thymus|thymic"),
    CodedConcept("80891009", "Heart", r"heart|cardiac"),
    CodedConcept("44567001", "Trachea", r"trachea|tracheal"),
    CodedConcept("32849002", "Esophagus", r"o?esophag(us|eal)"),
    CodedConcept("76752008", "Breast", r"breasts?|mammary", paired=True),
    CodedConcept("10200004", "Liver", r"liver|hepatic|intrahepatic|hepatocellular|hcc"),
    CodedConcept("28273000", "Bile Duct", r"bile ducts?"),
    CodedConcept("28231008", "Gallbladder", r"gall ?bladder"),
    CodedConcept("15776009", "Pancreas", r"pancreas|pancreatic|pdac"),
    CodedConcept("78961009", "Spleen", r"spleen|splenic"),
    CodedConcept("64033007", "Kidney", r"kidneys?|renal|rcc", paired=True),
    CodedConcept("87953007", "Ureter", r"ureters?|ureter(al|ic)", paired=True),
    CodedConcept("23451007", "Adrenal gland", r"adrenals?|suprarenal", paired=True),
    CodedConcept("69695003", "Stomach", r"stomach|gastric"),
    CodedConcept("38848004", "Duodenum", r"duoden(um|al)"),
    CodedConcept("30315005", "Small Intestine", r"small (bowel|intestine)"),
    CodedConcept("71854001", "Colon", r"colon|colonic|large bowel"),
    CodedConcept("34402009", "Rectum", r"rectum|rectal"),
    CodedConcept("15425007", "Peritoneum", r"peritone(um|al)"),
    CodedConcept("27398004", "Omentum", r"oment(um|al)"),
    CodedConcept("82849001", "Retroperitoneal space", r"retroperitone(um|al)"),
    CodedConcept("89837001", "Bladder", r"(?<!gall )bladder"),
    CodedConcept("41216001", "Prostate", r"prostate|prostatic"),
    CodedConcept("35039007", "Uterus", r"uterus|uterine(?! cervix)|endometri\w+"),
    CodedConcept("71252005", "Cervix", r"(uterine )?cervix"),
    CodedConcept("15497006", "Ovary", r"ovar(y|ies|ian)", paired=True),
    CodedConcept("76784001", "Vagina", r"vagina|vaginal"),
    CodedConcept("40689003", "Testis", r"testis|testes|testic\w+", paired=True),
    CodedConcept("51282000", "Vertebra", r"vertebra\w*"),
    CodedConcept("2748008", "Spinal cord", r"spinal cord"),
    CodedConcept("421060004", "Spine", r"spine|spinal(?! cord)"),
    CodedConcept("54735007", "Sacrum", r"sacrum|sacral"),
    CodedConcept("113197003", "Rib", r"ribs?", paired=True),
    CodedConcept("79601000", "Scapula", r"scapula", paired=True),
    CodedConcept("71341001", "Femur", r"femur|femoral", paired=True),
    CodedConcept("12611008", "Tibia", r"tibia|tibial", paired=True),  # not in Slicer's list
    CodedConcept("85050009", "Humerus", r"humerus|humeral", paired=True),
    CodedConcept("272673000", "Bone", r"bones?|bony|osseous"),  # not in Slicer's list
    CodedConcept("68367000", "Thigh", r"thighs?|upper legs?", paired=True),
    CodedConcept("30021000", "Lower leg", r"lower legs?|cal(f|ves)", paired=True),
    CodedConcept("72696002", "Knee", r"knees?", paired=True),
    CodedConcept("56459004", "Foot", r"foot|feet", paired=True),
    CodedConcept("46862004", "Buttock", r"buttocks?|gluteal", paired=True),  # not in Slicer's list
    CodedConcept("26893007", "Inguinal region", r"groins?|inguinal", paired=True),
    CodedConcept("16982005", "Shoulder", r"shoulders?", paired=True),
    CodedConcept("40983000", "Upper arm", r"upper arms?", paired=True),
    CodedConcept("14975008", "Forearm", r"forearms?", paired=True),
    CodedConcept("85562004", "Hand", r"hands?", paired=True),
    CodedConcept(
        "61685007", "Lower limb", r"(?<!lower )(?<!upper )legs?|lower limbs?|lower extremit(y|ies)", paired=True
    ),
    CodedConcept("53120007", "Upper limb", r"(?<!upper )arms?|upper limbs?|upper extremit(y|ies)", paired=True),
    CodedConcept("774007", "Head and Neck", r"head and neck"),
    CodedConcept("69536005", "Head", r"(?<!pancreatic )(?<!femoral )(?<!humeral )head(?! of| and neck)"),
    CodedConcept("45048000", "Neck", r"(?<!head and )(?<!femoral )(?<!pancreatic )(?<!bladder )neck(?! of)"),
    CodedConcept("51185008", "Thorax", r"thorax|thoracic(?! spine| vertebra)|chest"),
    CodedConcept("113345001", "Abdomen", r"abdom(en|inal)"),
    CodedConcept("12921003", "Pelvis", r"(?<!renal )pelvi[sc]"),
)
