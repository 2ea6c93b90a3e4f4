"""The words benchmark: does a model follow what is written?

Every text is asked of a scan whose tumour is known. Texts that mean the same should give the same mask (agreement); of two
texts of which only one is right, that one should score higher (order); for what is not there nothing should be marked
(specificity). Scores are the highest on the scan, which the verdict follows, and the mean within the true lesion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from diffugts.evaluation.overlap import dice
from diffugts.evaluation.statistics import share_interval
from diffugts.evaluation.studies import ONE_LOOK, on_working_grid
from diffugts.evaluation.word_questions import NOTHING_THERE, SAME, Category, Question, WordSubject, questions_of
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.scans.scan import Scan

SAME_SCORE = 0.005
"""Scores nearer than this are equal, and equal is not in order."""


@dataclass(frozen=True)
class TextAnswer:
    """What a model says of one text: highest score on the scan, mean in the true lesion (NaN without one), its mask."""

    highest: float
    at_lesion: float
    mask: np.ndarray


class Reader(Protocol):
    """Asks a model several texts of one scan."""

    def __call__(self, scan: Scan, truth: np.ndarray | None, texts: Sequence[str]) -> dict[str, TextAnswer]: ...


class PipelineReader:
    """Asks DiffuGTS's attention; the scan is encoded once, as for a user's further descriptions."""

    def __init__(self, pipeline: DiffuGTSPipeline, threshold: float | None = None) -> None:
        self.pipeline, self.calibration = pipeline, pipeline.preset.calibration(ONE_LOOK)
        self.threshold = self.calibration.threshold if threshold is None else threshold

    def __call__(self, scan: Scan, truth: np.ndarray | None, texts: Sequence[str]) -> dict[str, TextAnswer]:
        """Raises what the pipeline raises."""
        encoded = self.pipeline.encode(scan)
        lesion = on_working_grid(encoded, truth) if truth is not None else None
        answers = {}
        for text in dict.fromkeys(texts):
            (attention,) = self.pipeline.attend(encoded, [text])
            full = self.calibration.scaled(self.pipeline.on_working_grid(encoded, attention.score))
            score = self.calibration.scaled(attention.score)
            inside = float(full[lesion].mean()) if lesion is not None and lesion.any() else float("nan")
            answers[text] = TextAnswer(float(score.max()), inside, score > self.threshold)
        return answers


@dataclass(frozen=True)
class AskedPair:
    """A question with its answers.

    `agreement` is the masks' DSC, None where neither text marked anything: that says nothing of how alike they are read.
    """

    subject: str
    question: Question
    first_highest: float
    second_highest: float
    first_at_lesion: float
    second_at_lesion: float
    agreement: float | None
    first_marked: bool
    marked: bool

    @property
    def in_order(self) -> bool:
        """Whether the first text has the higher score on the scan."""
        return self.first_highest > self.second_highest + SAME_SCORE

    @property
    def in_order_at_lesion(self) -> bool:
        """Whether the first text has the higher score in the lesion."""
        return self.first_at_lesion > self.second_at_lesion + SAME_SCORE

    @property
    def error(self) -> float:
        """How wrong it is, above 0 only for a failure: the lead of the wrong text, or the lack of agreement."""
        if self.question.category in SAME:
            return 0.0 if self.agreement is None else 0.5 - self.agreement
        return self.second_highest - self.first_highest + SAME_SCORE


@dataclass(frozen=True)
class CategoryFigures:
    """One category: how many pairs; of these in order (share, interval), or the mean agreement of their masks.

    `compared` are the pairs of which at least one text marked something; `silent` the share of second texts that did not.
    """

    category: str
    pairs: int
    in_order: float | None = None
    low: float | None = None
    high: float | None = None
    in_order_at_lesion: float | None = None
    mean_lead: float | None = None
    agreement: float | None = None
    compared: int | None = None
    same_verdict: float | None = None
    silent: float | None = None


@dataclass(frozen=True)
class WordsReport:
    """All of it. `tumour_free` is the share of reference texts that marked nothing in scans without a tumour."""

    subjects: int
    categories: list[CategoryFigures]
    agreement: float
    order: float
    specificity: float
    reference_found: float
    tumour_free: float | None
    pairs: list[AskedPair] = field(default_factory=list)

    def failures(self, count: int = 12) -> list[AskedPair]:
        """The worst pairs that are wrong, worst first."""
        wrong = [pair for pair in self.pairs if pair.error > 0]
        return sorted(wrong, key=lambda pair: -pair.error)[:count]


def ask_words(
    read: Reader,
    subjects: Iterable[WordSubject],
    tumour_free: Iterable[tuple[str, Scan]] = (),
    say: Callable[[str], None] = print,
) -> WordsReport:
    """Ask every question of every subject, and each subject's reference text of the scans without a tumour.

    Raises ValueError where there is no subject.
    """
    pairs: list[AskedPair] = []
    names: list[str] = []
    references: list[str] = []
    for subject in subjects:
        questions = questions_of(subject)
        here = [q.first for q in questions] + [q.second for q in questions if not q.on_twin]
        answers = read(subject.scan, subject.truth, here)
        twin = read(subject.twin, subject.truth, [subject.wordings.reference]) if subject.twin is not None else {}
        asked = [_pair(subject.name, q, answers, twin) for q in questions]
        pairs += asked
        names.append(subject.name)
        references.append(subject.wordings.reference)
        ordered = [pair.in_order for pair in asked if pair.question.category not in SAME]
        say(f"{subject.name}: {sum(ordered)} of {len(ordered)} pairs in order")
    if not names:
        raise ValueError("there is no scan with a tumour that the words benchmark knows how to ask for")
    silent = []
    for name, scan in tumour_free:
        found = read(scan, None, list(dict.fromkeys(references)))
        silent += [not answer.mask.any() for answer in found.values()]
        say(
            f"{name}: tumour-free, {sum(not a.mask.any() for a in found.values())} of {len(found)} texts marked nothing"
        )
    return summarise_words(pairs, len(names), float(np.mean(silent)) if silent else None)


def summarise_words(pairs: Sequence[AskedPair], subjects: int, tumour_free: float | None = None) -> WordsReport:
    """The figures of answered questions, by category and in all."""
    same = [pair for pair in pairs if pair.question.category in SAME]
    ordered = [pair for pair in pairs if pair.question.category not in SAME]
    nothing = [pair for pair in pairs if pair.question.category in NOTHING_THERE]
    by_subject = {pair.subject: pair.first_marked for pair in same}
    return WordsReport(
        subjects=subjects,
        categories=[
            _category(c, members) for c in Category if (members := [p for p in pairs if p.question.category is c])
        ],
        agreement=_mean(_agreements(same)),
        order=_mean([pair.in_order for pair in ordered]),
        specificity=_mean([not pair.marked for pair in nothing]),
        reference_found=_mean(list(by_subject.values())),
        tumour_free=tumour_free,
        pairs=list(pairs),
    )


def _pair(subject: str, question: Question, answers: dict[str, TextAnswer], twin: dict[str, TextAnswer]) -> AskedPair:
    first = answers[question.first]
    second = (twin if question.on_twin else answers)[question.second]
    comparable = first.mask.shape == second.mask.shape and (first.mask.any() or second.mask.any())
    return AskedPair(
        subject,
        question,
        first.highest,
        second.highest,
        first.at_lesion,
        second.at_lesion,
        dice(first.mask, second.mask) if comparable else None,
        bool(first.mask.any()),
        bool(second.mask.any()),
    )


def _category(category: Category, pairs: Sequence[AskedPair]) -> CategoryFigures:
    if category in SAME:
        return CategoryFigures(
            category.value,
            len(pairs),
            agreement=_mean(_agreements(pairs)),
            compared=len(_agreements(pairs)),
            same_verdict=_mean([pair.marked == pair.first_marked for pair in pairs]),
        )
    hits = sum(pair.in_order for pair in pairs)
    low, high = share_interval(hits, len(pairs))
    return CategoryFigures(
        category.value,
        len(pairs),
        in_order=hits / len(pairs),
        low=low,
        high=high,
        in_order_at_lesion=_mean([pair.in_order_at_lesion for pair in pairs]),
        mean_lead=_mean([pair.first_highest - pair.second_highest for pair in pairs]),
        silent=_mean([not pair.marked for pair in pairs]) if category in NOTHING_THERE else None,
    )


def _agreements(pairs: Sequence[AskedPair]) -> list[float]:
    return [pair.agreement for pair in pairs if pair.agreement is not None]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
