"""Files that cross the process boundary: whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from diffugts.protocol import files
from diffugts.protocol.files import as_json, read_text, replace_text, sha256_of


def test_a_text_replaces_the_earlier_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "result ö.json"
    replace_text(path, "first\n")
    replace_text(path, "second 😀\n")
    assert path.read_bytes() == "second 😀\n".encode() and [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_writing_that_fails_leaves_the_earlier_text(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "result.json"
    replace_text(path, "earlier")

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        replace_text(path, "later")
    assert path.read_text() == "earlier" and [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_text_that_cannot_be_encoded_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    replace_text(path, "earlier")
    with pytest.raises(UnicodeEncodeError):
        replace_text(path, "\ud800")
    assert path.read_text() == "earlier" and [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_text_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_text(tmp_path / "result.json", "{}")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "result.json").stat().st_mode) == 0o640


def test_json_is_readable_and_escapes_only_what_is_no_unicode() -> None:
    assert "Größe 肝" in as_json({"text": "Größe 肝"})
    odd = as_json({"text": "Größe \udcfc"})
    odd.encode("utf-8")
    assert json.loads(odd) == {"text": "Größe \udcfc"}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_lacks_are_refused(number: float) -> None:
    with pytest.raises(ValueError):
        as_json({"volume_ml": number})


def test_a_text_is_read_with_or_without_the_mark_of_windows_editors(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / "request.json").write_text("{} ä", encoding=encoding)
        assert read_text(tmp_path / "request.json") == "{} ä"


def test_a_text_far_too_long_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST_TEXT_FILE", 1_000_000)
    path = tmp_path / "request.json"
    path.write_bytes(b" " * 1_000_000)
    assert len(read_text(path)) == 1_000_000
    path.write_bytes(b" " * 1_000_001)
    with pytest.raises(ValueError, match="longer than 1 MB"):
        read_text(path)


def test_a_checksum_is_the_files(tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    (tmp_path / "score.nrrd").write_bytes(content)
    assert sha256_of(tmp_path / "score.nrrd") == hashlib.sha256(content).hexdigest()
