"""The vocabulary of descriptions: organs and their parts, findings, abbreviations, spelling, translations.

The words lie in tables beside this file (`anatomy.tsv`, `findings.tsv`, `abbreviations.tsv`,
`translations.tsv`, `words.tsv`), to be read and corrected by people who do not program. All of them are in
American spelling; `american_spelling` brings British texts to it, so that both reach the encoder as one.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from types import MappingProxyType

BODY_REGIONS = ("head", "neck", "chest", "abdomen", "pelvis", "spine", "extremity")
"""Body regions a description can name; the limbs are one region."""

WORD = re.compile(r"w/o|w/|c/w|[^\W_]+(?:[-'\N{RIGHT SINGLE QUOTATION MARK}][^\W_]+)*")
"""A word: letters and digits of any script, with inner hyphens and apostrophes."""

_BRITISH_TO_AMERICAN = (
    ("œ", "oe"),
    ("æ", "ae"),
    (r"tumour", "tumor"),
    (r"oedem", "edem"),
    (r"haem(?=[aeo])", "hem"),
    (r"\boesoph|(?<=o)oesoph", "esoph"),
    (r"oestr", "estr"),
    (r"caec(?=[ua])", "cec"),
    (r"coeliac", "celiac"),
    (r"leukaem", "leukem"),
    (r"anaem", "anem"),
    (r"ischaem", "ischem"),
    (r"paed(?=i)", "ped"),
    (r"gynaec", "gynec"),
    (r"faec", "fec"),
    (r"foet", "fet"),
    (r"aetiol", "etiol"),
    (r"phaeochrom", "pheochrom"),
    (r"goitre", "goiter"),
    (r"\bgrey", "gray"),
    (r"fibre", "fiber"),
    (r"centre", "center"),
    (r"(?<=[a-z])metre", "meter"),
    (r"colour", "color"),
    (r"neighbour", "neighbor"),
    (r"mould", "mold"),
    (r"sulph", "sulf"),
    (r"defence", "defense"),
    (r"diarrhoea", "diarrhea"),
    (r"necrotis", "necrotiz"),
    (r"localis", "localiz"),
    (r"metastasis(?=e[ds]|ing)", "metastasiz"),
    (r"calibre", "caliber"),
    (r"litre", "liter"),
)
_SPELLING = tuple((re.compile(pattern, re.IGNORECASE), american) for pattern, american in _BRITISH_TO_AMERICAN)


def _in_the_case_of(match: re.Match[str], american: str) -> str:
    return american.upper() if match[0].isupper() else american.capitalize() if match[0][0].isupper() else american


def american_spelling(text: str) -> str:
    """`text` in American spelling ("tumour" -> "tumor", "Oedema" -> "Edema"), the case of first letters kept."""
    for pattern, american in _SPELLING:
        text = pattern.sub(partial(_in_the_case_of, american=american), text)
    return text


def without_accents(text: str) -> str:
    """Lower case without accents and ligatures: the form in which terms of other languages are compared."""
    text = text.lower().replace("ß", "ss").replace("œ", "oe").replace("æ", "ae")
    return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")


@dataclass(frozen=True)
class Place:
    """Where a word lies in the body: a canonical organ, a body region, either of them None where open."""

    organ: str | None
    region: str | None


@dataclass(frozen=True)
class FindingTerm:
    """A word for something abnormal: its kind ("generic", "metastasis", "sarcoma", "tumor", "benign") and organ."""

    kind: str
    organ: str | None


@dataclass(frozen=True)
class Abbreviation:
    """One reading of an abbreviation (see the head of `abbreviations.tsv`)."""

    short: str
    exact_case: bool
    expansion: str
    context: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Translation:
    """A term of another language.

    `strength` is "strong" or "weak" (an English word too: counts only beside a strong one); "prefix" and
    "suffix" are the parts of German compounds.
    """

    language: str
    english: str
    strength: str


def _rows(table: str) -> Iterator[dict[str, str]]:
    text = files(__package__).joinpath(table).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)


def _terms(cell: str) -> tuple[str, ...]:
    return tuple(term.strip().lower() for term in cell.split(",") if term.strip())


def _singulars(word: str) -> Iterator[str]:
    """The word and what it could be the plural of."""
    yield word
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        yield word[:-1]
    if len(word) > 4 and word.endswith("es"):
        yield word[:-2]
        yield word[:-2] + "is"
    if len(word) > 4 and word.endswith("ies"):
        yield word[:-3] + "y"
    if len(word) > 6 and word.endswith("omata"):
        yield word[:-2]
    if len(word) > 5 and word.endswith("ae"):
        yield word[:-1]
    if word.endswith("'s"):
        yield word[:-2]


_TUMOR_NAME = re.compile(r"[a-z-]{3,}oma(?:s|ta)?")
"""Names of tumours the tables do not list: Greek -oma."""
_DISEASE_NAME = re.compile(r"[a-z-]{3,}(?:itis|iasis|osis|oses|megaly|ectasis|cele|cephalus)")
"""Names of diseases that are no tumours."""
_NO_TUMORS = frozenset("coma aroma diploma stroma oklahoma roma soma sonoma glaucoma trachoma tacoma paloma".split())
_NO_DISEASES = frozenset("diagnosis diagnoses prognosis hypnosis osmosis symbiosis metamorphosis dosis oasis".split())


@dataclass(frozen=True)
class Vocabulary:
    """All tables, indexed. Build it once (`load_vocabulary`, about 15 ms) and hand it on."""

    places: Mapping[str, Place]
    findings: Mapping[str, FindingTerm]
    abbreviations: Mapping[str, tuple[Abbreviation, ...]]
    translations: Mapping[str, tuple[Translation, ...]]
    words: Mapping[str, frozenset[str]]
    organ_regions: Mapping[str, str]

    @property
    def organs(self) -> tuple[str, ...]:
        """Canonical organ names."""
        return tuple(dict.fromkeys(place.organ for place in self.places.values() if place.organ))

    def place(self, phrase: str) -> Place | None:
        """The place a phrase (lower case, American spelling, single or plural) names."""
        return next((self.places[form] for form in _singulars(phrase) if form in self.places), None)

    def finding(self, phrase: str) -> FindingTerm | None:
        """The abnormal finding a phrase names; unlisted words in -oma or -itis count as well."""
        listed = next((self.findings[form] for form in _singulars(phrase) if form in self.findings), None)
        if listed is None and _TUMOR_NAME.fullmatch(phrase) and phrase.removesuffix("s") not in _NO_TUMORS:
            return FindingTerm("tumor", None)
        if listed is None and _DISEASE_NAME.fullmatch(phrase) and phrase not in _NO_DISEASES:
            return FindingTerm("benign", None)
        return listed

    def is_word(self, use: str, phrase: str) -> bool:
        """Whether a phrase is listed for a use in `words.tsv`."""
        return phrase in self.words[use]

    def knows(self, word: str) -> bool:
        """Whether a word is listed anywhere: the lexical half of "understood"."""
        return (
            self.place(word) is not None
            or self.finding(word) is not None
            or any(word in listed for use, listed in self.words.items() if use != "lookalike")
        )

    def region_of(self, organ: str | None) -> str | None:
        """The body region an organ lies in; None for tissues that are everywhere (bone, muscle, lymph nodes)."""
        return self.organ_regions.get(organ) if organ else None


def load_vocabulary() -> Vocabulary:
    """Read the tables beside this file."""
    places: dict[str, Place] = {}
    regions: dict[str, set[str | None]] = {}
    for row in _rows("anatomy.tsv"):
        place = Place(row["organ"] or None, row["region"] or None)
        for term in _terms(row["terms"]):
            places[term] = place
        if place.organ:
            regions.setdefault(place.organ, set()).add(place.region)
    organ_regions = {organ: found.copy().pop() for organ, found in regions.items() if len(found) == 1}
    findings = {
        term: FindingTerm(row["kind"], row["organ"] or None)
        for row in _rows("findings.tsv")
        for term in _terms(row["terms"])
    }
    abbreviations: dict[str, tuple[Abbreviation, ...]] = {}
    for row in _rows("abbreviations.tsv"):
        reading = Abbreviation(
            row["abbreviation"], row["case"] == "exact", row["expansion"], _terms(row["context"]), row["note"]
        )
        key = reading.short.lower()
        abbreviations[key] = (*abbreviations.get(key, ()), reading)
    translations: dict[str, tuple[Translation, ...]] = {}
    for row in _rows("translations.tsv"):
        for term in _terms(row["terms"]):
            entry = Translation(row["language"], row["english"], row["strength"])
            umlauts_spelled = term.replace("ä", "ae").replace("ö", "oe").replace("ü", "ue")
            for form in dict.fromkeys((without_accents(term), without_accents(umlauts_spelled))):
                translations[form] = (*translations.get(form, ()), entry)
    words = {row["use"]: frozenset(_terms(row["words"])) for row in _rows("words.tsv")}
    return Vocabulary(
        places=MappingProxyType(places),
        findings=MappingProxyType(findings),
        abbreviations=MappingProxyType(abbreviations),
        translations=MappingProxyType(translations),
        words=MappingProxyType(words),
        organ_regions=MappingProxyType({organ: region for organ, region in organ_regions.items() if region}),
    )
