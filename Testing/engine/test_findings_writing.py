"""Results on disk: complete, on the scan's own grid, whole or not there, and never in place of anybody else's files."""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings

from diffugts.errors import Cancelled, ResultError
from diffugts.findings.finding import Segmentation
from diffugts.findings.writing import require_result_folder, slug, write_segmentation
from diffugts.protocol import Request, ResultManifest, Stage
from diffugts.scans.scan import Geometry
from made_segmentations import STRAIGHT, finding, request_for, segmentation, textured_scan
from scan_strategies import geometries

LIVER = (slice(2, 5), slice(4, 8), slice(6, 9))
KIDNEY = (slice(4, 7), slice(6, 9), slice(8, 12))


def made(geometry: Geometry = STRAIGHT, inpainted: bool = True, names: tuple[str, ...] = ()) -> Segmentation:
    """A segmentation with two overlapping findings and one where nothing was found."""
    scan = textured_scan(geometry)
    first, second, third = names or ("Leber: Metastase", "renal cyst", "肝转移")
    boxes = [tuple(slice(b.start * n // m, b.stop * n // m) for b, n, m in zip(box, geometry.shape, STRAIGHT.shape))
             for box in (LIVER, KIDNEY)]  # fmt: skip
    return segmentation(
        scan,
        [finding(first, scan, boxes[0]), finding(second, scan, boxes[1]), finding(third, scan, None, background=0.2)],  # type: ignore[arg-type]
        inpainted,
    )


def write(result: Segmentation, folder: Path, image_format: str = "nrrd", picture: bool = False) -> ResultManifest:
    return write_segmentation(result, request_for(result.findings, folder, image_format), folder, picture=picture)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def voxels(path: Path | None) -> np.ndarray:
    assert path is not None
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.mark.parametrize(
    "image_format, expected",
    [
        ("nrrd", ["hole", "lesion table", "pseudo-healthy", "residual", "score map", "segmentation"]),
        ("nifti", ["hole", "label", "lesion table", "pseudo-healthy", "residual", "score map"]),
    ],
)
def test_every_file_is_listed_and_proves_whole(tmp_path: Path, image_format: str, expected: list[str]) -> None:
    manifest = write(made(), tmp_path / "result", image_format)
    assert ResultManifest.load(tmp_path / "result") == manifest and manifest.folder == tmp_path / "result"
    assert sorted({record.role for record in manifest.files}) == expected
    listed = {record.name for record in manifest.files} | {"result.json"}
    assert listed == set(os.listdir(tmp_path / "result")) and len(manifest.files) == len(listed) - 1
    assert os.listdir(tmp_path) == ["result"]


@pytest.mark.parametrize("image_format", ["nrrd", "nifti"])
def test_volumes_hold_what_was_found(tmp_path: Path, image_format: str) -> None:
    result = made()
    manifest = write(result, tmp_path / "result", image_format)
    for number, found in enumerate(result.findings):
        np.testing.assert_array_equal(voxels(manifest.file("score map", number)), found.score_map)
        if image_format == "nifti":
            np.testing.assert_array_equal(voxels(manifest.file("label", number)) == 1, found.mask)
    assert result.pseudo_healthy is not None and result.residual is not None and result.hole is not None
    np.testing.assert_array_equal(voxels(manifest.file("pseudo-healthy")), result.pseudo_healthy)
    np.testing.assert_array_equal(voxels(manifest.file("residual")), result.residual)
    np.testing.assert_array_equal(voxels(manifest.file("hole")) == 1, result.hole)


def test_only_scores_that_nobody_can_see_become_zero(tmp_path: Path) -> None:
    result = made()
    scores = np.linspace(0, 1, result.findings[0].score_map.size, dtype=np.float32).reshape(STRAIGHT.shape)
    scores[0, 0, :3] = 0.0039, 0.004, 0.0041
    result.findings[0].score_map = before = scores.copy()
    kept = voxels(write(result, tmp_path / "result").file("score map", 0))
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, np.where(scores < np.float32(0.004), 0, scores))
    np.testing.assert_array_equal(result.findings[0].score_map, before)


def test_the_segmentation_file_has_a_segment_for_every_finding(tmp_path: Path) -> None:
    manifest = write(made(), tmp_path / "result")
    path = manifest.file("segmentation")
    assert path is not None and path.name.endswith(".seg.nrrd")
    image = sitk.ReadImage(str(path))
    for number, record in enumerate(manifest.findings):
        assert image.GetMetaData(f"Segment{number}_ID") == record.segment_id
        assert image.GetMetaData(f"Segment{number}_Name") == record.description
        colour = [float(part) for part in image.GetMetaData(f"Segment{number}_Color").split()]
        assert colour == pytest.approx(record.colour)


@settings(max_examples=12, deadline=None)
@given(geometries(least=8, most=10))
def test_every_volume_lies_exactly_where_the_scan_lies(geometry: Geometry) -> None:
    with tempfile.TemporaryDirectory() as parent:
        for image_format, tolerance in (("nrrd", 1e-9), ("nifti", 1e-6)):
            manifest = write(made(geometry), Path(parent) / image_format, image_format)
            assert manifest.geometry.origin_mm == geometry.origin_mm and manifest.geometry.size == geometry.size
            for record in manifest.files:
                if record.role == "lesion table":
                    continue
                written = Geometry.of(sitk.ReadImage(str(manifest.folder / record.name)))
                assert written.size == geometry.size
                np.testing.assert_allclose(written.spacing_mm, geometry.spacing_mm, atol=tolerance)
                np.testing.assert_allclose(written.direction, geometry.direction, atol=tolerance)
                # NIfTI keeps places as single-precision numbers: 1e-6 of up to 300 mm is as near as it can come.
                np.testing.assert_allclose(written.origin_mm, geometry.origin_mm, rtol=1e-7, atol=tolerance)


def test_without_inpainting_there_are_no_volumes_of_it(tmp_path: Path) -> None:
    manifest = write(made(inpainted=False), tmp_path / "result")
    assert {record.role for record in manifest.files} == {"score map", "segmentation", "lesion table"}
    assert manifest.file("pseudo-healthy") is None


def test_a_picture_of_every_finding_only_where_asked_for(tmp_path: Path) -> None:
    manifest = write(made(), tmp_path / "result", picture=True)
    for number in range(3):
        path = manifest.file("picture", number)
        assert path is not None and path.read_bytes().startswith(b"\x89PNG")
    assert not any(record.role == "picture" for record in write(made(), tmp_path / "other").files)


def test_the_manifest_tells_findings_and_how_they_were_made(tmp_path: Path) -> None:
    result = made()
    manifest = write(result, tmp_path / "result")
    for record, found in zip(manifest.findings, result.findings):
        assert (record.description, record.verdict) == (found.description, found.verdict.value)
        assert record.volume_ml == pytest.approx(sum(lesion.volume_ml for lesion in found.lesions))
        assert [lesion.label for lesion in record.lesions] == [lesion.label for lesion in found.lesions]
        assert list(record.notes) == found.notes
    made_by = manifest.provenance
    assert made_by.descriptions == ("Leber: Metastase", "renal cyst", "肝转移") and made_by.thresholds == (0.5,) * 3
    assert (made_by.model, made_by.weights_sha256, made_by.device) == ("made by hand", "ab" * 32, "cpu")
    assert (made_by.quality, made_by.seed, made_by.modality) == ("standard", 7, "CT") and made_by.research_use_only
    assert {"python", "torch", "SimpleITK"} <= set(made_by.versions) and {"read_s", "attend_s"} <= set(
        made_by.timings_s
    )
    assert made_by.created_utc.endswith("+00:00") and manifest.notes == ("A note on the whole run.",)


@pytest.mark.parametrize("image_format", ["nrrd", "nifti"])
def test_nothing_in_a_result_tells_where_the_scan_or_the_model_was(tmp_path: Path, image_format: str) -> None:
    write(made(), tmp_path / "result", image_format)
    for name, content in contents(tmp_path / "result").items():
        for word in (b"Doe", b"patients", b"/models", str(tmp_path).encode()):
            assert word not in content, f"{word!r} in {name}"
    for path in (tmp_path / "result").glob("*.nii.gz"):
        image = sitk.ReadImage(str(path))
        assert not any("Doe" in image.GetMetaData(key) for key in image.GetMetaDataKeys())


@pytest.mark.parametrize("name", ["Größe 肝 1", "with  blanks ", "a.b.c", "-x", 'it\'s "quoted" 😀', "%TEMP%"])
def test_folders_of_any_name_can_be_written(tmp_path: Path, name: str) -> None:
    if sys.platform == "win32" and ('"' in name or name.endswith(" ")):
        pytest.skip("Windows allows no folder of this name")
    folder = tmp_path / "päth with blanks" / name / "result 1"
    for image_format in ("nrrd", "nifti"):
        manifest = write(made(), folder, image_format)
        assert ResultManifest.load(folder) == manifest and voxels(manifest.file("score map", 0)).max() > 0.8


def test_descriptions_of_any_length_and_twice_the_same_have_files_of_their_own(tmp_path: Path) -> None:
    manifest = write(made(names=("x" * 9000, "renal cyst", "renal cyst")), tmp_path / "result")
    paths = [manifest.file("score map", number) for number in range(3)]
    assert len({path.name for path in paths if path}) == 3 and ResultManifest.load(tmp_path / "result") == manifest


def test_a_slug_is_plain() -> None:
    assert slug("Lésion du foie, 3 cm!") == "lesion-du-foie-3-cm"
    assert slug("肝转移") == slug("../..") == slug("😀") == "finding"
    assert slug("../../etc/passwd") == "etc-passwd" and slug("a\x00b\nc") == "a-b-c"
    assert len(slug("word " * 50)) <= 40 and not slug("word " * 50).endswith("-")


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "findings.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_has_a_row_per_lesion_and_one_where_nothing_was_found(tmp_path: Path) -> None:
    result = made()
    write(result, tmp_path / "result")
    rows = table(tmp_path / "result")
    assert [row["description"] for row in rows] == ["Leber: Metastase", "renal cyst", "肝转移"]
    lesion = result.findings[0].lesions[0]
    assert float(rows[0]["volume_ml"]) == pytest.approx(lesion.volume_ml, abs=1e-4)
    assert float(rows[0]["longest_axial_diameter_mm"]) == pytest.approx(lesion.longest_axial_diameter_mm, abs=1e-4)
    place = tuple(float(rows[0][axis]) for axis in ("r_mm", "a_mm", "s_mm"))
    assert place == pytest.approx(lesion.centroid_ras_mm, abs=1e-4)
    assert (rows[2]["verdict"], rows[2]["lesion"], rows[2]["volume_ml"]) == ("not found", "", "0")
    assert float(rows[2]["highest_score"]) == pytest.approx(0.2, abs=1e-4)


@pytest.mark.parametrize(
    "formula", ['=HYPERLINK("x")', "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "=cmd|' /C calc'!A0"]
)
def test_no_description_becomes_a_formula_in_a_spreadsheet(tmp_path: Path, formula: str) -> None:
    write(made(names=(formula, 'a "quoted", cell', "two\nlines")), tmp_path / "result")
    rows = table(tmp_path / "result")
    assert [row["description"] for row in rows] == ["'" + formula, 'a "quoted", cell', "two\nlines"]


def test_an_earlier_result_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    write(made(names=("an old one", "b", "c")), folder, "nifti", picture=True)
    manifest = write(made(), folder)
    assert ResultManifest.load(folder).files == manifest.files
    assert not list(folder.glob("*.nii.gz")) and not list(folder.glob("*old*")) and os.listdir(tmp_path) == ["result"]
    assert any("replaced" in note for note in manifest.notes)


def test_an_empty_folder_is_written_into(tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()
    assert ResultManifest.load(write(made(), tmp_path / "result").folder)


def foreign_files(folder: Path) -> None:
    (folder / "scan.nrrd").write_bytes(b"the only copy")
    (folder / "sub").mkdir()
    (folder / "sub" / "notes.txt").write_text("by hand")


def foreign_result_json(folder: Path) -> None:
    foreign_files(folder)
    (folder / "result.json").write_text('{"schema": "of another program"}')


def result_with_a_strange_file(folder: Path) -> None:
    folder.rmdir()
    write(made(), folder)
    (folder / "report.docx").write_text("a day's work")


def result_corrected_by_hand(folder: Path) -> None:
    folder.rmdir()
    manifest = write(made(), folder)
    path = manifest.file("segmentation")
    assert path is not None
    path.write_bytes(path.read_bytes() + b"corrected")


@pytest.mark.parametrize(
    "filled", [foreign_files, foreign_result_json, result_with_a_strange_file, result_corrected_by_hand]
)
def test_what_is_not_an_unchanged_result_is_refused_and_untouched(tmp_path: Path, filled: object) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    filled(folder)  # type: ignore[operator]
    before = contents(tmp_path)
    for attempt in (lambda: write(made(), folder), lambda: require_result_folder(folder)):
        with pytest.raises(ResultError, match="[Gg]ive another folder"):
            attempt()
    assert contents(tmp_path) == before


def test_a_file_in_the_folders_place_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "result").write_text("a file")
    with pytest.raises(ResultError, match="it is a file. Give a folder"):
        write(made(), tmp_path / "result")
    assert contents(tmp_path) == {"result": b"a file"}


@pytest.mark.parametrize("place", ["file/result", "a" * 300, "b" * 250])
def test_a_place_where_nothing_can_be_written_is_a_result_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(ResultError, match="another folder|shorter"):
        write(made(), tmp_path / place)
    assert contents(tmp_path) == {"file": b"a file"}


class StopsAt:
    """A progress callback that cancels, or fails, at one step; it also keeps what it was told."""

    def __init__(self, step: int, error: BaseException | None = None) -> None:
        self._step, self._error = step, error or Cancelled("Cancelled.")
        self.told: list[tuple[Stage, int, int]] = []

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        if done == self._step:
            raise self._error
        self.told.append((stage, done, total))


def steps_of(result: Segmentation, request: Request, folder: Path) -> int:
    progress = StopsAt(-1)
    write_segmentation(result, request, folder, progress)
    total = progress.told[0][2]
    assert progress.told == [(Stage.WRITING, done, total) for done in range(total + 1)]
    return total


@pytest.mark.parametrize("error", [Cancelled("Cancelled."), RuntimeError("broken"), KeyboardInterrupt()])
def test_a_job_stopped_at_any_step_leaves_the_earlier_result_and_nothing_else(
    tmp_path: Path, error: BaseException
) -> None:
    folder, result = tmp_path / "result", made()
    request = request_for(result.findings, folder)
    total = steps_of(result, request, folder)
    before = contents(tmp_path)
    for step in range(total + 1):
        with pytest.raises(type(error)):
            write_segmentation(made(names=("other", "words", "here")), request, folder, StopsAt(step, error))
        assert contents(tmp_path) == before and os.listdir(tmp_path) == ["result"]
        with pytest.raises(type(error)):
            write_segmentation(result, request, tmp_path / "new", StopsAt(step, error))
        assert os.listdir(tmp_path) == ["result"]
    assert ResultManifest.load(folder)


@contextmanager
def full_disk(free: int) -> Iterator[None]:
    """No file can grow beyond `free` bytes in this block."""
    resource = pytest.importorskip("resource", reason="only POSIX systems can be told to refuse")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("image_format", ["nrrd", "nifti"])
@pytest.mark.parametrize("free", [0, 60, 300, 900, 10_000])
def test_a_full_disk_is_said_so_and_leaves_the_earlier_result(tmp_path: Path, free: int, image_format: str) -> None:
    folder = tmp_path / "result"
    write(made(), folder)
    before = contents(tmp_path)
    noisy = made(names=("other", "words", "here"))
    noisy.findings[0].score_map = np.random.default_rng(0).random(STRAIGHT.shape, np.float32)
    with full_disk(free), pytest.raises(ResultError, match="Free some space or choose another folder"):
        write(noisy, folder, image_format)
    assert contents(tmp_path) == before and os.listdir(tmp_path) == ["result"]


def test_what_a_killed_process_left_is_cleared_away_but_not_what_a_living_one_writes(tmp_path: Path) -> None:
    nobody, here = 2**31 - 1, os.getpid()
    for name in (f".result.part-{nobody}-abc", f".result.part-{here}-abc", f".other.part-{nobody}-abc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half.nrrd").write_text("x")
    write(made(), tmp_path / "result")
    assert sorted(os.listdir(tmp_path)) == [f".other.part-{nobody}-abc", f".result.part-{here}-abc", "result"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_result_is_as_private_as_the_users_files_are(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write(made(), tmp_path / "result", picture=True)
    finally:
        os.umask(before)
    for path in (tmp_path / "result", *(tmp_path / "result").iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_the_json_is_what_any_json_reader_takes(tmp_path: Path) -> None:
    write(made(names=('"quoted" \\ 😀', "b", "c")), tmp_path / "result")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = (tmp_path / "result" / "result.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse)["findings"][0]["description"] == '"quoted" \\ 😀'
