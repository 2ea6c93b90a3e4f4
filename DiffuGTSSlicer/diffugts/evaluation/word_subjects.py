"""Where the words benchmark's scans come from: generated bodies with a lesion, or any data set with labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

from diffugts.errors import RequestError
from diffugts.evaluation.cases import EvaluationCase
from diffugts.evaluation.word_questions import WordSubject
from diffugts.evaluation.word_tables import wordings_of
from diffugts.generated.phantom import Body, demo_case, draw_phantom
from diffugts.scans.scan import Scan

FIRST_SEED = 500
"""Far from the seeds of the demo and of training."""


def generated_subjects(seeds: int = 3, bodies: Sequence[str] | None = None) -> Iterator[WordSubject]:
    """Every generated body with its lesion and its healthy twin, `seeds` times. Raises RequestError for another body."""
    known: tuple[Body, ...] = get_args(Body)
    strange = [body for body in bodies or () if body not in known]
    if strange:
        raise RequestError(f"There is no generated body '{strange[0]}', only {', '.join(known)}.")
    for body in (body for body in known if bodies is None or body in bodies):
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            scan, truth, description = demo_case(seed, body)
            twin = draw_phantom(seed, body, "MR" if scan.modality == "MR" else "CT", sequence=scan.sequence).scan
            wordings = wordings_of(description)
            assert wordings is not None, f"the words benchmark has no table for '{description}'"
            yield WordSubject(f"generated {body} {seed}", scan, truth, wordings, twin)


def subjects_of_cases(cases: Sequence[EvaluationCase]) -> Iterator[WordSubject]:
    """The cases with a tumour whose description is in the tables."""
    for case in cases:
        wordings = wordings_of(case.description)
        if wordings is None or case.label is None:
            continue
        scan = case.scan()
        truth = case.truth(scan)
        if truth.any():
            yield WordSubject(case.name, scan, truth, wordings)


def tumour_free_scans(cases: Sequence[EvaluationCase]) -> Iterator[tuple[str, Scan]]:
    """The cases in which nothing is marked."""
    for case in cases:
        scan = case.scan()
        if not case.truth(scan).any():
            yield case.name, scan
