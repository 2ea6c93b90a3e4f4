"""Fetching a published file: resumed, checked, and a sentence for everything that can go wrong. The server is this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from command_line import call
from diffugts.errors import Cancelled, ModelError
from diffugts.maisi.download import BLOCK, fetch, is_known_host
from diffugts.maisi.published import PublishedFile

CONTENT = bytes(range(256)) * 12000  # about three blocks
FILE = PublishedFile("nvidia/made-up", "models/weights.pt", 3)


class Publisher(BaseHTTPRequestHandler):
    """Answers as huggingface.co does: size and checksum first, then the bytes, from wherever is asked for."""

    announced = hashlib.sha256(CONTENT).hexdigest()
    breaks_off_after: int | None = None
    resumes = True
    asked: list[str] = []
    status = 200

    def do_HEAD(self) -> None:  # noqa: N802
        if self.status != 200:
            self.send_error(self.status)
            return
        self.send_response(302)
        self.send_header("X-Linked-Size", str(len(CONTENT)))
        self.send_header("X-Linked-ETag", f'"{self.announced}"')
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:  # noqa: N802
        asked = self.headers.get("Range", "")
        self.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-") or 0) if self.resumes else 0
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if self.breaks_off_after is None else body[: self.breaks_off_after])

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def publisher() -> Iterator[tuple[type[Publisher], str]]:
    handler = type("ThisPublisher", (Publisher,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}/weights.pt"
    server.shutdown()
    server.server_close()


def test_a_file_arrives_whole_where_it_is_published(publisher, tmp_path: Path) -> None:
    _, url = publisher
    told: list[tuple[int, int]] = []
    path = fetch(FILE, tmp_path, url, lambda _file, there, size: told.append((there, size)))
    assert path == tmp_path / "models" / "weights.pt" and path.read_bytes() == CONTENT
    assert told[0][0] == 0 and told[-1] == (len(CONTENT), len(CONTENT)) and len(told) > 2
    assert list(tmp_path.rglob("*.part")) == []


def test_a_download_that_broke_off_goes_on_where_it_stopped(publisher, tmp_path: Path) -> None:
    handler, url = publisher
    handler.breaks_off_after = BLOCK
    with pytest.raises(ModelError):
        fetch(FILE, tmp_path, url)
    assert not (tmp_path / "models" / "weights.pt").exists()
    handler.breaks_off_after = None
    assert fetch(FILE, tmp_path, url).read_bytes() == CONTENT
    assert handler.asked == ["", f"bytes={BLOCK}-"]


def test_a_server_that_cannot_go_on_in_the_middle_sends_all_of_it_again(publisher, tmp_path: Path) -> None:
    handler, url = publisher
    handler.resumes = False
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "weights.pt.part").write_bytes(b"another beginning")
    assert fetch(FILE, tmp_path, url).read_bytes() == CONTENT


def test_a_cancelled_download_keeps_what_arrived(publisher, tmp_path: Path) -> None:
    _, url = publisher

    def stop(_file: PublishedFile, there: int, _size: int) -> None:
        if there:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        fetch(FILE, tmp_path, url, stop)
    assert 0 < (tmp_path / "models" / "weights.pt.part").stat().st_size < len(CONTENT)


def test_what_is_not_what_was_announced_is_removed(publisher, tmp_path: Path) -> None:
    handler, url = publisher
    handler.announced = "0" * 64
    with pytest.raises(ModelError, match="arrived damaged"):
        fetch(FILE, tmp_path, url)
    assert not list(tmp_path.rglob("weights*"))


def test_a_file_without_a_checksum_is_not_fetched(publisher, tmp_path: Path) -> None:
    handler, url = publisher
    handler.announced = "of no use"
    with pytest.raises(ModelError, match="does not name size and SHA-256"):
        fetch(FILE, tmp_path, url)
    assert handler.asked == []


def test_a_whole_file_is_not_fetched_twice_and_another_one_is_not_overwritten(publisher, tmp_path: Path) -> None:
    handler, url = publisher
    path = fetch(FILE, tmp_path, url)
    assert fetch(FILE, tmp_path, url) == path and len(handler.asked) == 1
    path.write_bytes(b"mine")
    with pytest.raises(ModelError, match="is another file"):
        fetch(FILE, tmp_path, url)
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize("status", [401, 404])
def test_a_refusal_names_what_was_asked_for(publisher, tmp_path: Path, status: int) -> None:
    handler, url = publisher
    handler.status = status
    with pytest.raises(ModelError, match=f"answers {status} .*/weights.pt.*by hand"):
        fetch(FILE, tmp_path, url)


def test_without_a_network_the_way_around_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no connection to '127.0.0.1'.*models convert"):
        fetch(FILE, tmp_path, "http://127.0.0.1:9/weights.pt")


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("huggingface.co", True),
        ("cas-bridge.xethub.hf.co", True),
        ("cdn-lfs.huggingface.co", True),
        ("evilhuggingface.co", False),
        ("huggingface.co.example.org", False),
    ],
)
def test_redirections_stay_with_the_publisher(host: str, known: bool) -> None:
    assert is_known_host(host) is known


def test_nothing_is_fetched_without_a_yes(tmp_path: Path) -> None:
    asked = call("models", "fetch", "maisi-ct", "--output", tmp_path)
    assert asked.code != 0 and not list(tmp_path.iterdir())
    assert "https://huggingface.co/nvidia/NV-Generate-CT" in asked.out and "about 806 MB" in asked.out
    assert "NVIDIA Open Model License" in asked.out and "allows" in asked.out
