"""Reading cases from the layouts of public data sets, from tables and from plain folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import made_datasets as made
from diffugts.errors import RequestError, ScanError
from diffugts.evaluation.layouts import Layout, read_cases, recognise
from diffugts.evaluation.lesionwise import METASTASIS_RULES
from diffugts.evaluation.protocols import BRATS_TASKS, PAPER_ROWS


def truth_of(case) -> tuple[np.ndarray, np.ndarray]:
    scan = case.scan()
    return scan.voxels, case.truth(scan)


def test_decathlon_cases_count_the_cancer_and_not_the_organ(tmp_path: Path) -> None:
    cases = read_cases(made.decathlon(tmp_path / "Task03_Liver"))
    assert [case.name for case in cases] == ["liver_0", "liver_1"], "macOS's own file is no case"
    assert {case.description for case in cases} == {"liver tumour"}
    assert {case.folder for case in cases} == {"MSD Liver"}
    for seed, case in enumerate(cases):
        assert np.array_equal(truth_of(case)[1], made.thigh(seed)[1])


def test_a_folder_of_decathlon_tasks_gives_those_with_tumours(tmp_path: Path) -> None:
    made.decathlon(tmp_path / "Task03_Liver", cases=1)
    made.decathlon(tmp_path / "Task09_Spleen", cases=1, label_names={"0": "background", "1": "spleen"})
    assert recognise(tmp_path) is Layout.DECATHLON
    assert [case.folder for case in read_cases(tmp_path)] == ["MSD Liver"]


def test_a_decathlon_list_whose_label_is_no_tumour_is_refused(tmp_path: Path) -> None:
    folder = made.decathlon(tmp_path / "Task03_Liver", label_names={"0": "background", "1": "liver", "2": "spleen"})
    with pytest.raises(RequestError, match="label 2 is 'spleen'"):
        read_cases(folder)


def test_an_unlisted_task_is_read_where_its_labels_say_tumour_and_a_description_is_given(tmp_path: Path) -> None:
    folder = made.decathlon(tmp_path / "Dataset200_Thigh")
    with pytest.raises(RequestError, match="--description"):
        read_cases(folder)
    assert read_cases(folder, description="sarcoma of the thigh")[0].tumour_labels == (2,)


def test_one_of_four_sequences_is_taken_from_a_decathlon_brain(tmp_path: Path) -> None:
    folder = made.decathlon_brain(tmp_path / "Task01_BrainTumour")
    (flair,) = read_cases(folder)
    (enhanced,) = read_cases(folder, sequence="T1c")
    assert (flair.sequence, enhanced.sequence) == ("FLAIR", "T1c")
    values, truth = truth_of(flair)
    assert np.allclose(truth_of(enhanced)[0] - values, 200, atol=0.5), "the third volume of the file"
    assert truth.sum() == 6**3, "oedema and enhancing tumour both count"
    with pytest.raises(RequestError, match="has the sequences"):
        read_cases(folder, sequence="PD")


def test_kits_cases_count_the_tumour_and_neither_kidney_nor_cyst(tmp_path: Path) -> None:
    folder = made.kits(tmp_path)
    assert recognise(folder) is Layout.KITS
    cases = read_cases(folder)
    assert [case.name for case in cases] == ["case_00000", "case_00001"], "a case without its scan is left out"
    assert np.array_equal(truth_of(cases[0])[1], made.thigh(0)[1])


def test_brats_cases_are_the_whole_tumour_on_one_sequence(tmp_path: Path) -> None:
    folder = made.brats(tmp_path)
    assert recognise(folder) is Layout.BRATS
    (case,) = read_cases(folder)
    assert case.image.name.endswith("t2f.nii.gz") and case.sequence == "FLAIR" and case.description == "glioma"
    assert truth_of(case)[1].sum() == 6**3
    assert read_cases(folder, sequence="T1c")[0].image.name.endswith("t1c.nii.gz")
    with pytest.raises(RequestError, match="no T1 scan"):
        read_cases(folder, sequence="T1")


def test_each_brats_challenge_asks_for_its_tumour_by_its_rules(tmp_path: Path) -> None:
    (case,) = read_cases(made.brats(tmp_path, "MET"))
    assert (case.description, case.sequence, case.rules) == ("brain metastasis", "T1c", METASTASIS_RULES)
    with pytest.raises(RequestError, match="no challenge that is known"):
        read_cases(made.brats(tmp_path, "XYZ"))


def test_a_table_gives_every_row_its_own_question_and_empty_labels_are_tumour_free(tmp_path: Path) -> None:
    path = made.table(tmp_path, cases=1, healthy=1)
    ill, well = read_cases(path)
    assert (ill.name, ill.folder, ill.description) == ("thigh0", "thighs", "liver tumour")
    assert truth_of(ill)[1].any() and not truth_of(well)[1].any()
    assert {case.description for case in read_cases(path, description="any tumour")} == {"any tumour"}


def test_a_table_may_be_separated_by_tabs_or_semicolons_and_name_label_values(tmp_path: Path) -> None:
    made.write_scan(tmp_path / "a.nii.gz")
    made.write_labels(tmp_path / "b.nii.gz")
    for name, separator in (("cases.tsv", "\t"), ("cases.csv", ";")):
        rows = [("image", "label", "description", "tumour_labels"), ("a.nii.gz", "b.nii.gz", "mass in the thigh", "2")]
        (tmp_path / name).write_text("\n".join(separator.join(row) for row in rows), encoding="utf-8")
        (case,) = read_cases(tmp_path / name)
        assert np.array_equal(truth_of(case)[1], made.thigh(0)[1])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image,description\na.nii.gz,tumour\n", "no column label"),
        ("image,label\na.nii.gz,\n", "no column description"),
        ("image,label,description\na.nii.gz,,\n", "line 2 of 'cases.csv' the description is missing"),
        ("image,label,description\nnowhere.nii.gz,,tumour\n", "does not exist"),
        ("image,label,description,modality\na.nii.gz,,tumour,PET\n", "modality is 'PET'"),
        ("image,label,description,tumour_labels\na.nii.gz,,tumour,two\n", "expected numbers"),
        ("image,label,description\n", "No case was found"),
        ("image,label,description\na.nii.gz,,tumour\na.nii.gz,,mass\n", "Two cases are called 'a'"),
    ],
)
def test_a_table_that_cannot_be_read_says_where_and_why(tmp_path: Path, text: str, sentence: str) -> None:
    made.write_scan(tmp_path / "a.nii.gz")
    (tmp_path / "cases.csv").write_text(text, encoding="utf-8")
    with pytest.raises(RequestError, match=sentence):
        read_cases(tmp_path / "cases.csv")


def test_a_plain_folder_pairs_scans_with_their_labels(tmp_path: Path) -> None:
    made.write_scan(tmp_path / "first.nii.gz")
    made.write_mask(tmp_path / "first_label.nii.gz")
    made.write_scan(tmp_path / "second.nii.gz", 1)
    cases = read_cases(tmp_path, description="sarcoma")
    assert [(case.name, case.label is not None) for case in cases] == [("first", True), ("second", False)]
    with pytest.raises(RequestError, match="--description"):
        read_cases(tmp_path)


def test_images_and_labels_may_lie_in_folders_of_their_own(tmp_path: Path) -> None:
    made.write_scan(tmp_path / "images" / "first.nii.gz")
    made.write_mask(tmp_path / "labels" / "first.nii.gz")
    (case,) = read_cases(tmp_path, description="sarcoma")
    assert np.array_equal(truth_of(case)[1], made.thigh(0)[1])


def test_a_label_on_another_grid_is_refused(tmp_path: Path) -> None:
    path = made.table(tmp_path, cases=1, healthy=0)
    label = tmp_path / "scans" / "thigh0_truth.nii.gz"
    moved = sitk.ReadImage(str(label))
    moved.SetOrigin([value + 3.0 for value in moved.GetOrigin()])
    sitk.WriteImage(moved, str(label))
    (case,) = read_cases(path)
    with pytest.raises(ScanError, match="does not lie on the grid"):
        case.truth(case.scan())


def test_a_data_folder_gives_its_validation_scans_and_its_tumour_free_ones(tmp_path: Path) -> None:
    folder = made.data_folder(tmp_path)
    assert recognise(folder) is Layout.INDEX
    ill, free = read_cases(folder)
    assert (ill.folder, ill.description) == ("sarcoma", "soft tissue sarcoma")
    assert (free.folder, free.label, free.sequence) == ("tumour-free", None, "FLAIR")


def test_a_changed_file_or_question_is_another_case(tmp_path: Path) -> None:
    path = made.table(tmp_path, cases=1, healthy=0)
    (before,) = read_cases(path)
    assert read_cases(path)[0].fingerprint() == before.fingerprint()
    path.write_text(path.read_text(encoding="utf-8").replace("liver tumour", "sarcoma"), encoding="utf-8")
    assert read_cases(path)[0].fingerprint() != before.fingerprint()


def test_the_documented_rows_are_the_papers_each_with_a_command() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for row in PAPER_ROWS:
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {row.title} |")]
        assert f"| {row.authors_dsc:g} |" in line and "`diffugts evaluate " in line


def test_the_papers_rows_carry_the_authors_figures() -> None:
    figures = [row.authors_dsc for row in PAPER_ROWS]
    assert figures == [63.23, 43.61, 42.94, 38.72, 62.76, 47.51, 59.8, 44.7, 50.31]
    assert all(task.authors_dsc is None for key, task in BRATS_TASKS.items() if key != "GLI")
