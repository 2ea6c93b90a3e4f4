"""The contact sheet of a cohort: one file that loads nothing, with a picture of every finding and a sentence for what has none."""

from __future__ import annotations

import base64
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from diffugts.cohort.contact_sheet import PICTURE_WIDTH, write_contact_sheet
from diffugts.cohort.run import Outcome, carry_out_cohort
from diffugts.cohort.table import read_table
from diffugts.scans.found_scans import PassedOver
from diffugts.worker.link import WorkerLink
from job_folders import write_scan
from test_cohort_run import Heard, carried_out, made_cases
from worker_process import HERE, environment


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def drawn(folder: Path) -> list[Outcome]:
    """A case with two descriptions, drawn, and one whose scan cannot be read."""
    (folder / "model").mkdir()
    write_scan(folder / "s0.nrrd", size=40)
    (folder / "s1.nrrd").write_bytes(b"no scan")
    (folder / "t.csv").write_text("image,descriptions\ns0.nrrd,<b>ball</b>|cyst\ns1.nrrd,cyst\n")
    cases = read_table(folder / "t.csv", {"model": str(folder / "model"), "device": "cpu", "modality": "MR"})
    link = WorkerLink([sys.executable, str(HERE / "slow_pipeline_worker.py"), "0", "--picture"], environment())
    return carry_out_cohort(cases, folder / "out", [link], Heard())


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Outcome], str]:
    folder = tmp_path_factory.mktemp("cohort")
    outcomes = drawn(folder)
    write_contact_sheet(outcomes, folder / "out" / "sheet.html", [PassedOver("a/<i>", "No scan & no series.")])
    return outcomes, (folder / "out" / "sheet.html").read_text(encoding="utf-8")


def test_every_finding_has_its_picture_and_says_what_was_found(sheet: tuple[list[Outcome], str]) -> None:
    outcomes, text = sheet
    images = Elements(text).of("img")
    assert len(images) == 2
    for image in images:
        kind, content = re.fullmatch(r"data:image/(\w+);base64,(.*)", image["src"] or "").groups()
        with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
            assert kind == "jpeg" and picture.format == "JPEG"
            assert PICTURE_WIDTH / 2 < picture.width <= PICTURE_WIDTH
            assert len(set(picture.convert("L").tobytes())) > 100, "a scan is on it"
    for finding in outcomes[0].manifest.findings:
        assert f"{finding.volume_ml:.2f} ml in" in text and f"{finding.verdict}, highest score" in text


def test_the_page_runs_no_script_loads_nothing_and_takes_no_text_for_markup(sheet: tuple[list[Outcome], str]) -> None:
    _, text = sheet
    page = Elements(text)
    assert not page.of("script") and not page.of("link") and not page.of("i")
    assert all((a["src"] or "").startswith("data:") for a in page.of("img"))
    assert all((a["href"] or "").startswith("#") for a in page.of("a"))
    assert not re.search(r"https?://|url\(", text)
    assert "&lt;b&gt;ball&lt;/b&gt;" in text and "<b>ball" not in text
    policy = next(a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_links_lead_to_pictures_and_each_verdict_can_be_hidden(sheet: tuple[list[Outcome], str]) -> None:
    outcomes, text = sheet
    page = Elements(text)
    places = {a["id"]: a["class"] for a in page.of("figure")}
    assert [(a["href"] or "")[1:] for a in page.of("a")] == list(places)
    boxes = {(a["id"] or "").removeprefix("show-") for a in page.of("input")} - {"large"}
    assert set(places.values()) <= boxes
    for name in boxes:
        assert f"body:has(#show-{name}:not(:checked)) .{name} {{ display: none; }}" in text


def test_what_failed_or_was_passed_over_is_told(sheet: tuple[list[Outcome], str]) -> None:
    outcomes, text = sheet
    assert "1 of 2 cases are finished" in text and "Failed: 1" in text
    assert outcomes[1].failure.split("'")[2][:30] in text
    assert "Passed over: 1" in text and "<td>a/&lt;i&gt;<td class=why>No scan &amp; no series." in text


def test_a_result_without_pictures_says_so(tmp_path: Path) -> None:
    outcomes = carried_out(made_cases(tmp_path, 1), tmp_path)
    write_contact_sheet(outcomes, tmp_path / "sheet.html")
    text = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert "no picture was drawn" in text and not Elements(text).of("img")
