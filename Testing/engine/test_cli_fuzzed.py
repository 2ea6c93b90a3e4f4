"""The command line given request files, results and options damaged at random: an exit code and a sentence, never a traceback."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line import Call, call
from diffugts.protocol import Region, Request
from fuzzing import DAMAGE, damaged, fuzzed
from job_folders import job_folder
from worker_process import WorkerProcess

outcomes: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def summary() -> Iterator[None]:
    """Says at the end, with `pytest -s`, how often which exit code came."""
    yield
    print(f"\n{outcomes.total()} calls: {dict(sorted(outcomes.items()))}")


def require_sentence(made: Call) -> None:
    """Exit code 1 to 5 of an error that is known, or 2 of a wrong option, and what is wrong on standard error."""
    outcomes[f"exit code {made.code}"] += 1
    said = made.out + made.err
    assert made.code not in (0, -1) and "Traceback" not in said and "did not foresee" not in said, said
    assert len(made.err.strip()) > 20


def test_request_files_with_damaged_bytes(tmp_path: Path) -> None:
    """The scan that it names is not there, so that a request which is still valid ends quickly, too."""
    region = Region((-10.0, -10.0, -10.0), (10.0, 10.0, 10.0))
    descriptions = ("liver metastasis", "cyst, 3 cm")
    request = Request(
        scan="nowhere.nrrd", descriptions=descriptions, output="result", threshold=0.4, region=region, device="cpu"
    )
    content = request.to_json().encode()
    path = tmp_path / "request.json"

    @fuzzed(60)
    @given(DAMAGE)
    def run(steps: list[tuple[str, float, bytes]]) -> None:
        path.write_bytes(damaged(content, steps, 0, len(content)))
        require_sentence(call("run", path))

    run()


OPTIONS = (
    "--roi",
    "--threshold",
    "--seed",
    "--modality",
    "--quality",
    "--smallest-lesion-ml",
    "--sequence",
    "--device",
    "--series",
)
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20) | st.sampled_from(
    ["", "-1", "nan", "inf", "1e999", "9" * 30, "0,0,0,1,1,1", "CT", "fast", "cuda:99", "cpu", "auto", "--", "-h1", "0.5"]
)  # fmt: skip


def test_options_with_any_words(tmp_path: Path) -> None:
    @fuzzed(60)
    @given(WORDS, st.dictionaries(st.sampled_from(OPTIONS), WORDS, min_size=1, max_size=3))
    def segment(description: str, options: dict[str, str]) -> None:
        given_options = [f"{name}={value}" for name, value in options.items()]
        scan, output = tmp_path / "nowhere.nrrd", tmp_path / "out"
        require_sentence(call("segment", scan, f"--prompt={description}", "--output", output, *given_options))

    segment()


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result that a worker has written."""
    request = job_folder(tmp_path_factory.mktemp("job") / "a", "bright ball", "cyst")
    with WorkerProcess.stand_in(0.0) as worker:
        worker.send("run", "a", request)
        assert worker.ending("a").name == "done"
    return request.parent / "result"


def test_manifests_with_damaged_bytes(result: Path, tmp_path: Path) -> None:
    """Undamaged it is refused too, because its scan never was DICOM."""
    folder = tmp_path / "result"
    shutil.copytree(result, folder)
    content = (folder / "result.json").read_bytes()

    @fuzzed(60)
    @given(DAMAGE)
    def export(steps: list[tuple[str, float, bytes]]) -> None:
        (folder / "result.json").write_bytes(damaged(content, steps, 0, len(content)))
        require_sentence(call("dicom", folder, tmp_path / "nowhere", "--output", tmp_path / "out"))

    export()
