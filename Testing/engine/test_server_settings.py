"""What a server refuses before it starts, because it would expose scans; and what a scan's header may carry."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffugts.errors import RequestError, ScanError
from diffugts.protocol import Region, Request
from diffugts.protocol.remote import TRAVELLING, require_upload, travelling_request, upload_header, version_problem
from diffugts.server.access import Rate, Tokens
from diffugts.server.settings import ServerSettings, read_tokens
from job_folders import write_scan

TOKEN = "0123456789-abcdefghijklmnop"


def settings(tmp_path: Path, **more) -> ServerSettings:
    return ServerSettings(folder=tmp_path, models={"compact": tmp_path}, **more)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.5"])
def test_on_this_machine_alone_neither_token_nor_tls_is_needed(tmp_path: Path, host: str) -> None:
    assert not settings(tmp_path, host=host).beyond_this_machine


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "gpu.hospital.example"])
def test_beyond_this_machine_a_token_and_tls_are_needed(tmp_path: Path, host: str) -> None:
    with pytest.raises(RequestError, match="no token is set"):
        settings(tmp_path, host=host)
    with pytest.raises(RequestError, match="without TLS"):
        settings(tmp_path, host=host, tokens=(TOKEN,))
    assert settings(tmp_path, host=host, tokens=(TOKEN,), plain_http=True).beyond_this_machine


def test_tls_needs_both_files_and_they_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="Give both"):
        settings(tmp_path, certificate=tmp_path / "c.pem")
    with pytest.raises(RequestError, match="is not there"):
        settings(tmp_path, certificate=tmp_path / "c.pem", key=tmp_path / "k.pem")


def test_a_file_of_tokens_is_its_owners_alone_and_holds_none_that_can_be_guessed(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# radiology\n{TOKEN}\n\n{TOKEN}\n")
    path.chmod(0o644)
    with pytest.raises(RequestError, match="read by others"):
        read_tokens(path)
    path.chmod(0o600)
    assert read_tokens(path) == (TOKEN,)
    path.write_text("secret\n")
    with pytest.raises(RequestError, match="guessed") as error:
        read_tokens(path)
    assert "secret" not in str(error.value)


def test_a_token_is_known_by_nothing_but_itself() -> None:
    tokens = Tokens([TOKEN, TOKEN + "-2"])
    owner = tokens.owner_of(f"Bearer {TOKEN}")
    assert owner and TOKEN not in owner and owner != tokens.owner_of(f"Bearer {TOKEN}-2")
    for asked in (None, "", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", "Bearer \udcff"):
        assert tokens.owner_of(asked) is None


def test_a_rate_fills_up_again() -> None:
    now = [0.0]
    rate = Rate(2, lambda: now[0])
    assert [rate.allows("a") for _ in range(3)] == [True, True, False]
    assert rate.allows("b"), "another key has its own"
    now[0] = 30.0
    assert [rate.allows("a") for _ in range(2)] == [True, False]


def test_a_header_travels_without_anything_but_sizes_and_geometry(tmp_path: Path) -> None:
    path = write_scan(tmp_path / "scan.nrrd")
    plain = path.read_bytes()
    path.write_bytes(
        plain.replace(b"encoding: raw\n", b"# Doe^Jane\nencoding: raw\nPatientName:=Doe^Jane\ncontent: Jane\n", 1)
    )
    header = upload_header(path)
    assert b"Doe" not in header.text and b"Jane" not in header.text
    clean = tmp_path / "clean.nrrd"
    clean.write_bytes(header.text + path.read_bytes()[header.data_begins :])
    require_upload(clean)
    with pytest.raises(ScanError, match="more than sizes and geometry"):
        require_upload(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"encoding: raw", b"encoding: gzip"),
        (b"kinds: domain domain domain", b"kinds: Doe Jane 1950"),
        (b"type: float", b"type: block"),
        (b"NRRD0004", b"PNG"),
        (b"encoding: raw\n", b"encoding: raw\ndata file: /etc/passwd\n"),
        (b"sizes: 24", b"sizes: 25"),
    ],
)
def test_a_file_of_another_kind_does_not_travel(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = write_scan(tmp_path / "scan.nrrd")
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(ScanError):
        upload_header(path)


def test_of_a_request_no_path_and_no_device_travels() -> None:
    region = Region((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    request = Request(
        scan="/home/doe/scan.nrrd",
        output="/home/doe/out",
        model="/home/doe/m",
        device="cuda:3",
        descriptions=("x",),
        region=region,
    )
    facts = travelling_request(request, "compact")
    assert set(facts) == set(TRAVELLING) and "doe" not in str(facts) and "cuda" not in str(facts)
    again = Request(**{**facts, "region": Region(**facts["region"])}, scan="s", output="o")
    assert again.descriptions == request.descriptions and again.region == region


def test_a_mask_stays_where_it_is_and_nothing_goes_without_it() -> None:
    request = Request(scan="s.nrrd", output="o", descriptions=("x",), mask="/home/doe/rough.nrrd")
    with pytest.raises(
        RequestError, match="mask is a file on the machine that asks.*compute on this machine"
    ) as caught:
        travelling_request(request, "compact")
    assert "doe" not in str(caught.value)


def test_versions_that_differ_are_told_with_what_to_do() -> None:
    assert version_problem(1, "0.1", 1, "0.2") == ""
    assert "Install the same version on both." in version_problem(2, "0.9", 1, "0.1")
