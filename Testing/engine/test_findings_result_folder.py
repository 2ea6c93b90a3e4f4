"""The folder of a result: there as a whole or not at all, and nothing of anybody else's is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from diffugts.errors import Cancelled, ResultError
from diffugts.findings.result_folder import require_result_folder, whole_folder
from diffugts.findings.writing import write_segmentation
from diffugts.protocol import Request, ResultManifest
from made_segmentations import finding, request_for, segmentation, textured_scan

BOX = (slice(2, 6), slice(3, 9), slice(4, 11))


def write_result(
    folder: Path, description: str = "liver metastasis", smallest_lesion_ml: float = 0.1
) -> ResultManifest:
    scan = textured_scan()
    findings = [finding(description, scan, BOX)]
    request = request_for(findings, folder)
    return write_segmentation(
        segmentation(scan, findings), Request(**{**request.__dict__, "smallest_lesion_ml": smallest_lesion_ml}), folder
    )


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_place_that_is_free_or_empty_is_fine(tmp_path: Path) -> None:
    assert require_result_folder(tmp_path / "not there" / "yet") is None
    assert require_result_folder(tmp_path) is None
    (tmp_path / ".DS_Store").write_bytes(b"a file browser was here")
    assert require_result_folder(tmp_path) is None


def test_a_whole_earlier_result_is_replaced_and_the_new_one_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    first = write_result(folder, "liver metastasis")
    second = write_result(folder, "renal cyst")
    assert first.provenance.created_utc in second.notes[-1] and "replaced" in second.notes[-1]
    loaded = ResultManifest.load(folder)
    assert [f.description for f in loaded.findings] == ["renal cyst"] and loaded == second
    assert not [name for name in content(folder) if "liver" in name]
    assert [entry.name for entry in tmp_path.iterdir()] == ["result"]


def test_a_segmentation_that_somebody_corrected_is_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    write_result(folder)
    with (folder / "segmentation.seg.nrrd").open("ab") as file:
        file.write(b"corrected by hand")
    before = content(folder)
    with pytest.raises(ResultError, match=r"changed since, and is not touched: 'segmentation\.seg\.nrrd' is not as"):
        write_result(folder)
    assert content(folder) == before


def test_a_file_that_somebody_put_beside_the_result_is_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    write_result(folder)
    (folder / "my notes.txt").write_text("growing", encoding="utf-8")
    before = content(folder)
    with pytest.raises(ResultError, match="'my notes.txt', which is not of the earlier result"):
        write_result(folder)
    assert content(folder) == before


def test_a_folder_of_other_things_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.nrrd").write_bytes(b"voxels")
    with pytest.raises(ResultError, match="not a result of this program; they are not touched"):
        write_result(tmp_path)
    with pytest.raises(ResultError, match="it is a file. Give a folder"):
        write_result(tmp_path / "scan.nrrd")
    assert content(tmp_path) == {"scan.nrrd": b"voxels"}


@pytest.mark.skipif(sys.platform == "win32", reason="drives are roots there")
def test_a_mount_point_is_refused_because_it_cannot_be_replaced() -> None:
    with pytest.raises(ResultError, match="mount point. Give a folder inside it"):
        require_result_folder(Path("/"))


@pytest.mark.parametrize("stop", [Cancelled("stop"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_after_an_interruption_the_place_is_as_it_was(stop: BaseException, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "result"
    with pytest.raises(type(stop)):
        with whole_folder(folder) as temporary:
            (temporary / "half.nrrd").write_bytes(b"half")
            raise stop
    assert not content(tmp_path) and list((tmp_path / "a").iterdir()) == []
    write_result(folder)
    before = content(folder)
    with pytest.raises(type(stop)):
        with whole_folder(folder) as temporary:
            (temporary / "half.nrrd").write_bytes(b"half")
            raise stop
    assert content(folder) == before and [entry.name for entry in folder.parent.iterdir()] == ["result"]


def test_nothing_is_seen_in_the_place_before_the_result_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    with whole_folder(folder) as temporary:
        (temporary / "first.nrrd").write_bytes(b"first")
        assert not folder.exists() and temporary.parent == tmp_path and temporary.name.startswith(".result.part-")
    assert content(folder) == {"first.nrrd": b"first"}


def test_where_the_new_folder_cannot_be_moved_the_earlier_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "result"
    write_result(folder)
    before = content(folder)
    really_replace = os.replace

    def refuse_the_new(source: Path, target: Path) -> None:
        if ".part-" in str(source) and Path(target) == folder:
            raise PermissionError(13, "Permission denied")
        really_replace(source, target)

    monkeypatch.setattr(os, "replace", refuse_the_new)
    with pytest.raises(ResultError, match="Permission denied"):
        write_result(folder, "renal cyst")
    assert content(folder) == before and [entry.name for entry in tmp_path.iterdir()] == ["result"]


def test_what_a_killed_process_left_is_cleared_away_but_not_what_another_is_writing(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, others, own = (
        tmp_path / f".result.part-{ended.pid}-abc",
        tmp_path / f".other.part-{ended.pid}-abc",
        tmp_path / f".result.part-{os.getpid()}-abc",
    )
    for folder in (left, others, own):
        folder.mkdir()
        (folder / "half.nrrd").write_bytes(b"half")
    write_result(tmp_path / "result")
    assert not left.exists() and others.exists() and own.exists()


def test_an_earlier_result_that_a_killed_process_moved_aside_is_kept_until_there_is_a_newer(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    aside = tmp_path / f".result.old-{ended.pid}-abc"
    aside.mkdir()
    (aside / "result.json").write_bytes(b"{}")
    write_result(tmp_path / "result")
    assert aside.exists()
    write_result(tmp_path / "result")
    assert not aside.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_the_folder_has_the_permissions_that_the_user_gives_new_folders(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_result(tmp_path / "result")
    finally:
        os.umask(before)
    assert (tmp_path / "result").stat().st_mode & 0o777 == 0o700
