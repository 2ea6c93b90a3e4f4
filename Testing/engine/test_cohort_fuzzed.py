"""Cohort tables and case folders damaged at random: cases or a sentence, and no half result taken for a finished one."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffugts.cohort.case_folder import FINISHED_FILE, CaseFolder
from diffugts.cohort.table import COLUMNS, Case, read_table
from diffugts.errors import RequestError
from diffugts.protocol import ResultManifest
from fuzzing import DAMAGE, damaged, fuzzed
from job_folders import job_folder, write_scan
from worker_process import WorkerProcess

TABLE = (
    b"image,descriptions,roi,modality,series,name\r\n"
    b'scans/a.nii.gz,"liver metastasis|cyst",,CT,,patient-1\r\n'
    b'scans/b.nrrd,"a ""quoted"" mass",-60 -40 -300 20 60 -180,MR,4,\r\n'
    b"c,lung nodule,,,,\r\n"
)
CELLS = st.text(max_size=30) | st.sampled_from(
    ["", "scan.nrrd", "|", "||a", "CT", "mr", "0 0 0 1 1 1", "nan 0 0 1 1 1", "../../x", "CON", "a" * 300, "\ud800", "\0", '"', "\n"]
)  # fmt: skip


def require_cases_or_sentence(table: Path) -> None:
    try:
        cases = read_table(table, {"model": "compact"})
    except RequestError as error:
        assert len(str(error)) > 20 and "Traceback" not in str(error)
    else:
        names = [case.name.casefold() for case in cases]
        assert names and len(set(names)) == len(names)
        for name in names:
            assert name == Path(name).name and name not in ("", ".", "..")


def test_bytes_damaged_anywhere_in_a_table(tmp_path: Path) -> None:
    table = tmp_path / "scans.csv"

    @fuzzed(150)
    @given(DAMAGE)
    def read(steps: list[tuple[str, float, bytes]]) -> None:
        table.write_bytes(damaged(TABLE, steps, 0, len(TABLE)))
        require_cases_or_sentence(table)

    read()


def test_tables_with_any_cells(tmp_path: Path) -> None:
    table = tmp_path / "scans.csv"

    @fuzzed(150)
    @given(
        st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=6, unique=True),
        st.lists(st.lists(CELLS, max_size=7), max_size=4),
    )
    def read(columns: list[str], rows: list[list[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([columns, *rows])
        table.write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))
        require_cases_or_sentence(table)

    read()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> CaseFolder:
    """A case that a worker has carried out."""
    folder = tmp_path_factory.mktemp("cohort")
    request = job_folder(folder / "scans" / "a")
    made = write_scan(folder / "scan.nrrd")
    table = folder / "scans.csv"
    table.write_text(f"image,descriptions,modality\n{made.name},bright ball,MR\n")
    (case,) = read_table(table, {"model": str(request.parent.parent / "model"), "device": "cpu"})
    case_folder = CaseFolder(folder / "output", Case("a", case.request))
    case_folder.prepare()
    with WorkerProcess.stand_in(0.0) as worker:
        worker.send("run", "a", case_folder.request_path)
        assert worker.ending("a").name == "done"
    case_folder.finish()
    return case_folder


def test_a_finished_case_of_which_anything_is_damaged_is_the_same_or_not_finished(finished: CaseFolder) -> None:
    """What the disk lost of a record, a manifest or a file of the result makes it none, and never another one."""
    whole = finished.finished()
    assert whole is not None
    names = [FINISHED_FILE, *(f"result/{path.name}" for path in sorted(finished.result_folder.iterdir()))]
    spare = finished.folder.with_name("spare")
    shutil.copytree(finished.folder, spare)

    @fuzzed(150)
    @given(st.sampled_from(names), DAMAGE)
    def look(name: str, steps: list[tuple[str, float, bytes]]) -> None:
        content = (spare / name).read_bytes()
        changed = damaged(content, steps, 0, len(content))
        (finished.folder / name).write_bytes(changed)
        try:
            found = finished.finished()
            assert found is None or (found == whole and (name == FINISHED_FILE or changed == content))
        finally:
            (finished.folder / name).write_bytes(content)

    look()
    assert isinstance(finished.finished(), ResultManifest)


@pytest.mark.parametrize("text", ["[" * 100_000, "null", "{}", "", "\x00"])
def test_a_record_that_is_none_makes_the_case_unfinished(finished: CaseFolder, text: str) -> None:
    record = finished.folder / FINISHED_FILE
    content = record.read_bytes()
    record.write_text(text)
    try:
        assert finished.finished() is None
    finally:
        record.write_bytes(content)
