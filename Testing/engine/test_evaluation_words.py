"""The words benchmark: its questions on scans whose lesion is known, and its figures on answers made up by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import made_datasets as made
from command_line import call
from diffugts.descriptions.training_texts import contains_held_out
from diffugts.errors import ModelError
from diffugts.evaluation.layouts import read_cases
from diffugts.evaluation.protocols import BRATS_TASKS, KITS, MSD_TASKS
from diffugts.evaluation.word_questions import NOTHING_THERE, Category, WordSubject, lesion_side, questions_of
from diffugts.evaluation.word_report import words_as_markdown, write_words
from diffugts.evaluation.word_subjects import generated_subjects, subjects_of_cases
from diffugts.evaluation.word_tables import WORDINGS, wordings_of
from diffugts.evaluation.words import TextAnswer, ask_words
from diffugts.models import find_model
from diffugts.scans.scan import Geometry, Scan


def head_with_lesion(contrast: float, offset_mm: float = 40.0, name: str = "glioma") -> WordSubject:
    """A ball of tissue with a small ball in it, `offset_mm` to the patient's left; its twin has none."""
    axes = np.mgrid[:40, :40, :40]
    tissue = ((axes - 20) ** 2).sum(0) < 18**2
    centre = np.array([20, 20, 20 + offset_mm / 4])[:, None, None, None]
    lesion = ((axes - centre) ** 2).sum(0) < 4**2
    noise = np.random.default_rng(0).normal(0, 10, tissue.shape)
    healthy = np.where(tissue, 300 + noise, 0).astype(np.float32)
    geometry = Geometry((40, 40, 40), (4.0, 4.0, 4.0), (-80.0, -80.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    ill = Scan(healthy + np.float32(contrast) * lesion, geometry, "MR", "FLAIR", "ill")
    wordings = wordings_of(name)
    assert wordings is not None
    return WordSubject("made head", ill, lesion, wordings, Scan(healthy, geometry, "MR", "FLAIR", "well"))


class MadeUpModel:
    """Answers as it is told to: `scores` by text, any other text gets `otherwise`; a mask where the score is above 0.5."""

    def __init__(self, scores: dict[str, float], otherwise: float, on_twin: float = 0.1) -> None:
        self.scores, self.otherwise, self.on_twin = scores, otherwise, on_twin

    def __call__(self, scan: Scan, truth: np.ndarray | None, texts: Sequence[str]) -> dict[str, TextAnswer]:
        given = {text: self.on_twin if scan.name == "well" else self.scores.get(text, self.otherwise) for text in texts}
        return {t: TextAnswer(s, s, np.full((4, 4, 4), s > 0.5) & (np.arange(4) < 2)) for t, s in given.items()}


def quiet(_: str) -> None: ...


def texts_of(subject: WordSubject, category: Category) -> list[tuple[str, str]]:
    return [(q.first, q.second) for q in questions_of(subject) if q.category is category]


def test_every_category_is_asked_of_a_scan_with_a_twin() -> None:
    assert {question.category for question in questions_of(head_with_lesion(150.0))} == set(Category)


@pytest.mark.parametrize(("contrast", "right", "wrong"), [(150.0, "hyper", "hypo"), (-150.0, "hypo", "hyper")])
def test_the_right_word_for_the_density_is_measured_on_the_scan(contrast: float, right: str, wrong: str) -> None:
    assert texts_of(head_with_lesion(contrast), Category.DENSITY) == [
        (f"{right}intense glioma", f"{wrong}intense glioma")
    ]
    assert not texts_of(head_with_lesion(0.0), Category.DENSITY), "of an isointense lesion neither word is right"


def test_left_and_right_are_the_patients_own_and_not_asked_in_the_middle() -> None:
    subject = head_with_lesion(150.0)
    assert lesion_side(subject.scan, subject.truth) == "left"
    assert ("glioma on the left", "glioma on the right") in texts_of(subject, Category.LOCATION)
    middle = head_with_lesion(150.0, offset_mm=4.0)
    assert lesion_side(middle.scan, middle.truth) is None and len(texts_of(middle, Category.LOCATION)) == 1


def test_no_text_of_another_organ_belongs_to_the_scans_own_region() -> None:
    for wordings in WORDINGS:
        own = {*wordings.asked_as, *wordings.synonyms, *wordings.paraphrases}
        assert not own & set(wordings.absent)
        assert len(own) == len(wordings.asked_as) + len(wordings.synonyms) + len(wordings.paraphrases)
    assert any(contains_held_out(text) for wordings in WORDINGS for text in wordings.paraphrases)


def test_every_public_task_and_every_generated_body_can_be_asked() -> None:
    tasks = [*MSD_TASKS.values(), *BRATS_TASKS.values(), KITS]
    assert all(wordings_of(task.description) is not None for task in tasks)
    (subject,) = generated_subjects(1, ["head"])
    assert subject.truth.any() and subject.twin is not None
    changed = np.abs(subject.scan.voxels - subject.twin.voxels) > 0
    assert changed[subject.truth].mean() > 0.9, "the twin is the same body without the lesion"


def test_cases_of_a_data_set_are_subjects_where_their_description_is_known(tmp_path: Path) -> None:
    (subject,) = subjects_of_cases(read_cases(made.table(tmp_path, cases=1, healthy=1)))
    assert subject.wordings.organ == "liver" and subject.twin is None
    assert not list(subjects_of_cases(read_cases(tmp_path / "cases.csv")[:0]))


def test_a_model_that_follows_words_has_full_marks() -> None:
    subject = head_with_lesion(150.0)
    right = {q.first: 0.9 for q in questions_of(subject)}
    same = {q.second: 0.9 for q in questions_of(subject) if q.category in (Category.SYNONYM, Category.PARAPHRASE)}
    report = ask_words(MadeUpModel(right | same, 0.1), [subject], [("well", subject.scan)], quiet)
    assert (report.order, report.agreement, report.specificity, report.reference_found) == (1, 1, 1, 1)
    assert not report.failures()


def test_a_model_that_is_deaf_to_words_is_neither_in_order_nor_specific_though_it_agrees() -> None:
    report = ask_words(MadeUpModel({}, 0.9, on_twin=0.9), [head_with_lesion(150.0)], say=quiet)
    assert (report.order, report.agreement, report.specificity) == (0, 1, 0), "equal scores are not in order"
    by_category = {figures.category: figures for figures in report.categories}
    assert all(by_category[category.value].silent == 0 for category in NOTHING_THERE)


def test_a_model_that_finds_nothing_says_nothing_of_agreement() -> None:
    report = ask_words(MadeUpModel({}, 0.1), [head_with_lesion(150.0)], say=quiet)
    assert np.isnan(report.agreement) and report.reference_found == 0 and report.specificity == 1


def test_the_worst_failures_come_first_and_are_written(tmp_path: Path) -> None:
    scores = {"glioma": 0.6, "lung cancer": 0.95, "breast cancer": 0.7, "GBM": 0.2}
    report = ask_words(MadeUpModel(scores, 0.1), [head_with_lesion(150.0)], say=quiet)
    failures = report.failures()
    assert failures[0].error == max(pair.error for pair in report.pairs)
    assert {"lung cancer", "breast cancer", "GBM"} <= {pair.question.second for pair in failures}
    text = words_as_markdown(report, "made up")
    assert "### Where it fails" in text and "| glioma | 0.60 | lung cancer | 0.95 |" in text
    write_words(report, tmp_path, "made up")
    facts = json.loads((tmp_path / "words.json").read_text(encoding="utf-8"))
    assert facts["subjects"] == 1 and facts["failures"][0]["subject"] == "made head"


def test_without_a_subject_there_is_nothing_to_report() -> None:
    with pytest.raises(ValueError, match="no scan with a tumour"):
        ask_words(MadeUpModel({}, 0.1), [], say=quiet)


@pytest.mark.slow
def test_the_shipped_model_is_asked_from_the_command_line(tmp_path: Path) -> None:
    try:
        find_model("compact")
    except ModelError:
        pytest.skip("the compact model is not in Resources/Models")
    shown = call("evaluate", "words", "--seeds", "1", "--body", "thigh", "--output", tmp_path)
    assert shown.code == 0, shown.err
    facts = json.loads((tmp_path / "words.json").read_text(encoding="utf-8"))
    assert facts["subjects"] == 1 and len(facts["pairs"]) > 20
    assert call("evaluate", "words", "--body", "tail", "--output", tmp_path).code == 2
