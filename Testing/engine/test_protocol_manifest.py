"""result.json: it proves a result whole, and says in a sentence why a folder holds none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffugts.errors import ResultError
from diffugts.protocol.manifest import (
    FileRecord,
    FindingRecord,
    Grid,
    LesionRecord,
    MaskRecord,
    Provenance,
    ResultManifest,
    sha256_of,
)
from diffugts.protocol.request import Region
from fuzzing import fuzzed

SCORE, TABLE = b"the score map's bytes", b"description,verdict\n"

MANIFEST = ResultManifest(
    findings=(
        FindingRecord(
            description='liver metastasis, "3 cm" 😀',
            verdict="found",
            highest_score=0.93,
            anomaly_score=0.8,
            threshold=0.5,
            volume_ml=2.5,
            lesions=(LesionRecord(1, 2.5, 21.0, (10.5, -20.0, 300.25), 44.0, 0.7, 0.93),),
            notes=("Uncertain: look at the map.",),
            segment_id="finding_1",
            colour=(0.9, 0.4, 0.5),
        ),
    ),
    files=(
        FileRecord("score map", "01-liver-score.nrrd", len(SCORE), hashlib.sha256(SCORE).hexdigest(), 0),
        FileRecord("lesion table", "findings.csv", len(TABLE), hashlib.sha256(TABLE).hexdigest()),
    ),
    provenance=Provenance(
        program_version="1.0.0",
        descriptions=('liver metastasis, "3 cm" 😀',),
        model="compact",
        weights_sha256="ab" * 32,
        quality="standard",
        thresholds=(0.5,),
        smallest_lesion_ml=0.1,
        region=Region((0.0, 0.0, 0.0), (1.0, 2.0, 3.0)),
        modality="CT",
        sequence=None,
        seed=0,
        device="cpu",
        timings_s={"read_s": 0.25},
        versions={"python": "3.11.7"},
        created_utc="2026-01-01T00:00:00+00:00",
        mask=MaskRecord(3.25, "cd" * 32),
    ),
    geometry=Grid((20, 16, 12), (1.5, 2.0, 4.0), (-40.0, 25.5, 300.25), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)),
    notes=("A note.",),
)


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return write_result(tmp_path / "result ö 1")


def write_result(folder: Path) -> Path:
    folder.mkdir()
    (folder / "01-liver-score.nrrd").write_bytes(SCORE)
    (folder / "findings.csv").write_bytes(TABLE)
    MANIFEST.write(folder)
    return folder


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit the JSON of a written manifest in place."""
    path = folder / "result.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    edit(facts)
    path.write_text(json.dumps(facts), encoding="utf-8")


def test_a_manifest_comes_back_as_it_was_written(result: Path) -> None:
    loaded = ResultManifest.load(result)
    assert loaded == MANIFEST and loaded.folder == result
    assert isinstance(loaded.findings[0].lesions[0].centroid_ras_mm, tuple)
    assert sorted(entry.name for entry in result.iterdir()) == ["01-liver-score.nrrd", "findings.csv", "result.json"]


def test_the_json_holds_schema_and_status_but_no_folder(result: Path) -> None:
    facts = json.loads((result / "result.json").read_text(encoding="utf-8"))
    assert facts["schema"] == "diffugts-result/1" and facts["status"] == "done" and "folder" not in facts
    assert str(result) not in (result / "result.json").read_text(encoding="utf-8")


def test_a_file_is_found_by_its_role_and_description(result: Path) -> None:
    loaded = ResultManifest.load(result)
    assert loaded.file("score map", 0) == result / "01-liver-score.nrrd"
    assert loaded.file("lesion table") == result / "findings.csv"
    assert loaded.file("score map") is None and loaded.file("score map", 1) is None and loaded.file("hole") is None


def test_the_checksum_is_the_files_sha256(result: Path) -> None:
    big = result / "big"
    big.write_bytes(bytes(range(256)) * 9000)
    assert sha256_of(big) == hashlib.sha256(bytes(range(256)) * 9000).hexdigest()


def test_a_folder_without_a_manifest_holds_no_result(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "not there"):
        with pytest.raises(
            ResultError, match="holds no finished result: there is no result.json. Run the request again"
        ):
            ResultManifest.load(folder)
    (tmp_path / "result.json").mkdir()
    with pytest.raises(ResultError, match="holds no finished result"):
        ResultManifest.load(tmp_path)


def test_a_manifest_cut_short_anywhere_is_damaged(result: Path) -> None:
    path = result / "result.json"
    content = path.read_bytes()
    for length in range(0, len(content.rstrip()), 23):
        path.write_bytes(content[:length])
        with pytest.raises(ResultError, match="result.json' is damaged .*Run the request again"):
            ResultManifest.load(result)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"5", b"null", b"NaN", b"\xff\xfe", b"\x00" * 100, b"[" * 100_000, b"9" * 5000]
)
def test_a_manifest_that_is_something_else_is_damaged(result: Path, content: bytes) -> None:
    (result / "result.json").write_bytes(content)
    with pytest.raises(ResultError, match="is damaged"):
        ResultManifest.load(result)


@pytest.mark.parametrize("schema", ["diffugts-result/2", "", None, 5, ["diffugts-result/1"]])
def test_a_manifest_of_another_version_says_so(result: Path, schema: object) -> None:
    change(result, lambda facts: facts.update(schema=schema))
    with pytest.raises(ResultError, match="is of version .*, expected 'diffugts-result/1'"):
        ResultManifest.load(result)


@pytest.mark.parametrize("status", ["failed", "", None, 5])
def test_a_manifest_of_an_unfinished_run_says_so(result: Path, status: object) -> None:
    change(result, lambda facts: facts.update(status=status))
    with pytest.raises(ResultError, match="is of status .*, expected 'done'"):
        ResultManifest.load(result)


def test_a_file_that_is_missing_is_named(result: Path) -> None:
    (result / "findings.csv").unlink()
    with pytest.raises(ResultError, match="'findings.csv', but the file is missing"):
        ResultManifest.load(result)
    assert ResultManifest.load(result, verify=False) == MANIFEST


def test_a_folder_in_a_files_place_is_a_missing_file(result: Path) -> None:
    (result / "findings.csv").unlink()
    (result / "findings.csv").mkdir()
    with pytest.raises(ResultError, match="'findings.csv', but the file is missing"):
        ResultManifest.load(result)


@pytest.mark.parametrize("content", [SCORE[:-1] + b"S", SCORE[:-1], SCORE + b"\n", b""])
def test_a_changed_byte_and_a_changed_size_are_noticed(result: Path, content: bytes) -> None:
    (result / "01-liver-score.nrrd").write_bytes(content)
    with pytest.raises(ResultError, match="'01-liver-score.nrrd' is not as it was written: size or checksum differ"):
        ResultManifest.load(result)


@pytest.mark.parametrize(
    "name",
    [
        "../findings.csv",
        "/etc/passwd",
        "sub/findings.csv",
        "..",
        ".",
        "",
        "a\\..\\b",
        "C:findings.csv",
        "a\x00b",
        "./findings.csv",
    ],
)
def test_a_file_outside_the_folder_is_never_opened(result: Path, name: str) -> None:
    (result.parent / "findings.csv").write_bytes(TABLE)
    (result / "sub").mkdir()
    (result / "sub" / "findings.csv").write_bytes(TABLE)
    change(result, lambda facts: facts["files"][1].update(name=name))
    with pytest.raises(ResultError, match="which is not a file of its own folder"):
        ResultManifest.load(result)


def test_a_file_name_too_long_for_any_disk_is_a_missing_file(result: Path) -> None:
    change(result, lambda facts: facts["files"][1].update(name="a" * 5000))
    with pytest.raises(ResultError, match="but the file is missing") as caught:
        ResultManifest.load(result)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "place, met",
    [
        (("findings", 0, "volume_ml"), "2.5"),
        (("findings", 0, "volume_ml"), float("nan")),
        (("findings", 0, "description"), 5),
        (("findings", 0, "colour"), [1, 0]),
        (("findings", 0, "notes"), "a text"),
        (("findings", 0, "notes", 0), None),
        (("findings", 0, "lesions", 0, "label"), 1.5),
        (("findings", 0, "lesions", 0, "centroid_ras_mm"), [0, 0, None]),
        (("files", 0, "name"), 5),
        (("files", 0, "size"), True),
        (("files", 0, "description"), 1),
        (("files", 0, "description"), -1),
        (("provenance", "thresholds"), None),
        (("provenance", "region"), {"minimum_ras_mm": [0, 0, 0], "maximum_ras_mm": [0, 0, 0]}),
        (("provenance", "timings_s"), {"read_s": "long"}),
        (("geometry", "size"), [1.5, 2, 3]),
        (("geometry", "direction"), [1, 0, 0]),
        (("notes",), {}),
    ],
    ids=str,
)
def test_a_value_of_another_kind_is_damage(result: Path, place: tuple[str | int, ...], met: object) -> None:
    def edit(facts: Any) -> None:
        for key in place[:-1]:
            facts = facts[key]
        facts[place[-1]] = met

    change(result, edit)
    with pytest.raises(ResultError, match="is damaged"):
        ResultManifest.load(result, verify=False)


@pytest.mark.parametrize("field", ["findings", "files", "provenance", "geometry"])
def test_a_part_that_is_missing_is_named(result: Path, field: str) -> None:
    change(result, lambda facts: facts.pop(field))
    with pytest.raises(ResultError, match=f"is damaged \\(.*{field}"):
        ResultManifest.load(result)


def test_whole_numbers_written_by_other_programs_are_numbers(result: Path) -> None:
    change(result, lambda facts: facts["findings"][0].update(volume_ml=3, threshold=1))
    finding = ResultManifest.load(result).findings[0]
    assert finding == replace(MANIFEST.findings[0], volume_ml=3.0, threshold=1.0)
    assert isinstance(finding.volume_ml, float)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PLACES: list[tuple[str | int, ...]] = [
    ("findings",),
    ("findings", 0),
    ("findings", 0, "verdict"),
    ("findings", 0, "lesions"),
    ("findings", 0, "lesions", 0),
    ("findings", 0, "colour"),
    ("files",),
    ("files", 0),
    ("files", 0, "name"),
    ("files", 0, "size"),
    ("files", 0, "sha256"),
    ("files", 0, "description"),
    ("provenance",),
    ("provenance", "region"),
    ("provenance", "versions"),
    ("provenance", "timings_s"),
    ("geometry",),
    ("geometry", "origin_mm"),
    ("notes",),
    ("schema",),
    ("status",),
]


@pytest.fixture(scope="module")
def one_result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = write_result(tmp_path_factory.mktemp("module") / "result")
    return folder, (folder / "result.json").read_text(encoding="utf-8")


@fuzzed(150)
@given(st.sampled_from(PLACES), ANYTHING)
def test_any_damage_is_a_result_error_or_no_damage(
    one_result: tuple[Path, str], place: tuple[str | int, ...], met: object
) -> None:
    folder, text = one_result
    facts = inner = json.loads(text)
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = met
    (folder / "result.json").write_text(json.dumps(facts), encoding="utf-8")
    try:
        manifest = ResultManifest.load(folder)
    except ResultError as error:
        assert str(error).endswith("again.") and len(str(error)) < 1000
    else:
        manifest.write(folder)
        assert ResultManifest.load(folder) == manifest


# -- what a cancelled job leaves -----------------------------------------------------------------------------------------


@pytest.fixture
def kept(result: Path) -> ResultManifest:
    """The result of a job that was cancelled when one of two descriptions was finished."""
    manifest = replace(MANIFEST, status="cancelled", unfinished=("cyst",), folder=result)
    manifest.write(result)
    return manifest


def test_what_a_cancelled_job_left_is_read_by_those_who_ask_for_it(kept: ResultManifest) -> None:
    loaded = ResultManifest.load(kept.folder, cancelled_too=True)
    assert loaded == kept and loaded.unfinished == ("cyst",)


def test_what_a_cancelled_job_left_is_no_whole_result(kept: ResultManifest) -> None:
    with pytest.raises(ResultError, match="is of status 'cancelled', expected 'done'"):
        ResultManifest.load(kept.folder)


def test_what_a_cancelled_job_left_is_verified_like_any_result(kept: ResultManifest) -> None:
    (kept.folder / "findings.csv").write_bytes(TABLE + b"x")
    with pytest.raises(ResultError, match="'findings.csv' is not as it was written"):
        ResultManifest.load(kept.folder, cancelled_too=True)


def test_a_manifest_from_before_results_could_be_unfinished_is_whole(result: Path) -> None:
    change(result, lambda facts: facts.pop("unfinished"))
    assert ResultManifest.load(result) == MANIFEST


def test_done_with_something_unfinished_and_cancelled_with_nothing_finished_are_damaged(kept: ResultManifest) -> None:
    change(kept.folder, lambda facts: facts.update(status="done"))
    with pytest.raises(ResultError, match="it is 'done', but 1 descriptions are not finished"):
        ResultManifest.load(kept.folder, cancelled_too=True)
    change(kept.folder, lambda facts: facts.update(status="cancelled", findings=[], files=[]))
    with pytest.raises(ResultError, match="it is 'cancelled' without any finished description"):
        ResultManifest.load(kept.folder, cancelled_too=True)
