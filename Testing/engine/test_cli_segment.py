"""`diffugts segment` and `diffugts run` with a small untrained model: what is printed, written and returned."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from command_line import call
from diffugts import interrupts
from diffugts.errors import RequestError
from diffugts.protocol import Region, ResultManifest, parse_event, sha256_of
from job_folders import job_folder, write_scan
from small_model_folder import PREPARED, save_small_model
from worker_process import environment

THRESHOLD = "0.1"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def segment(model: Path, tmp_path: Path) -> list[str]:
    """The arguments of a call that works."""
    scan = write_scan(tmp_path / "scan T1.nrrd", 32)
    return ["segment", str(scan), "--prompt", PREPARED[0], "--output", str(tmp_path / "out"), "--model", str(model),
            "--quality", "fast", "--modality", "MR", "--device", "cpu", "--threshold", THRESHOLD]  # fmt: skip


def test_a_segmentation_prints_a_table_and_writes_a_whole_result(segment: list[str], tmp_path: Path) -> None:
    result = call(
        *segment, "--prompt", PREPARED[1], "--quality", "standard", "--seed", "7", "--smallest-lesion-ml", "0"
    )
    assert result.code == 0, result.err
    manifest = ResultManifest.load(tmp_path / "out")
    for finding in manifest.findings:
        row = next(line for line in result.out.splitlines() if finding.description in line)
        assert finding.verdict in row and f"{finding.highest_score:.2f}" in row and f"{finding.volume_ml:.1f}" in row
    assert result.out.endswith("Research use only. Not a medical device.\n")
    assert str(tmp_path / "out") in result.out
    assert (manifest.provenance.seed, manifest.provenance.quality) == (7, "standard")
    assert len([record for record in manifest.files if record.role == "picture"]) == 2


def test_a_log_gets_plain_lines_one_per_stage(segment: list[str]) -> None:
    lines = call(*segment, "--no-picture").err.splitlines()
    said = [line for line in lines if line.startswith(("Reading", "Loading", "Encoding", "Comparing", "Writing"))]
    assert [line.split()[0].rstrip(",") for line in said] == ["Reading", "Loading", "Encoding", "Comparing", "Writing"]
    assert "\x1b" not in "".join(lines)


def test_json_is_nothing_but_events(segment: list[str], tmp_path: Path) -> None:
    result = call(*segment, "--json", "--no-picture", "--format", "nifti")
    events = [parse_event(line) for line in result.out.splitlines()]
    assert {event.name for event in events[:-1]} == {"progress"}
    assert events[-1].name == "done"
    path = Path(events[-1].fields["result"])
    assert path == tmp_path / "out" / "result.json" and events[-1].fields["sha256"] == sha256_of(path)
    assert (tmp_path / "out").joinpath(ResultManifest.load(tmp_path / "out").files[0].name).suffixes[-2:] == [
        ".nii",
        ".gz",
    ]


def test_an_error_in_json_is_an_event_too(segment: list[str]) -> None:
    result = call(*segment, "--json", "--modality", "CT", "--sequence", "T1")
    (*_, last) = result.out.splitlines()
    event = parse_event(last)
    assert (event.name, event.fields["code"]) == ("failed", "scan")
    assert event.fields["message"] in result.err and result.code == 3


def test_run_gives_what_segment_gives(segment: list[str], model: Path, tmp_path: Path) -> None:
    call(*segment, "--no-picture")
    facts = {"model": str(model), "quality": "fast", "threshold": float(THRESHOLD), "size": 32}
    request = job_folder(tmp_path / "job", PREPARED[0], **facts)
    (tmp_path / "job" / "scan.nrrd").replace(tmp_path / "job" / "scan T1.nrrd")
    request.write_text(request.read_text().replace("scan.nrrd", "scan T1.nrrd"))
    assert call("run", request, "--no-picture").code == 0
    for one, two in zip(*(ResultManifest.load(tmp_path / f).files for f in ("out", "job/result")), strict=True):
        assert (one.name, one.sha256) == (two.name, two.sha256)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (["--output", "."], 2, "inside the output folder"),
        (["--threshold", "1.5"], 2, "threshold"),
        (["--prompt", " "], 2, "description"),
        (["--roi", "1,2,3"], 2, "six numbers"),
        (["--device", "abacus"], 2, "'abacus'"),
        (["--model", "nowhere"], 4, "no model 'nowhere'"),
        (["--sequence", "T7"], 3, "T7"),
    ],
)
def test_each_mistake_has_its_sentence_and_code(
    segment: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: list[str], code: int, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*segment, *change)
    assert (result.code, "Traceback" in result.err) == (code, False), result.err
    assert words in result.err
    assert not (tmp_path / "out").exists()


def test_a_missing_scan_ends_with_three(segment: list[str], tmp_path: Path) -> None:
    (tmp_path / "scan T1.nrrd").unlink()
    result = call(*segment)
    assert result.code == 3 and "'scan T1.nrrd' does not exist" in result.err


def test_a_region_limits_the_findings(segment: list[str], tmp_path: Path) -> None:
    """The scan's corner lies at RAS (10, -5, 7), its voxels go right to left, front to back and up: 2 mm each."""
    assert call(*segment, "--no-picture", "--smallest-lesion-ml", "0", "--roi", "10,-5,7,-52,-67,20").code == 0
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(ResultManifest.load(tmp_path / "out").file("segmentation"))))
    assert mask.any() and not mask[7:].any()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "stage"), [(signal.SIGINT, b"Encoding"), (signal.SIGTERM, b"Loading")])
def test_control_c_leaves_nothing(segment: list[str], tmp_path: Path, number: signal.Signals, stage: bytes) -> None:
    write_scan(tmp_path / "scan T1.nrrd", 112)
    process = subprocess.Popen(
        [sys.executable, "-m", "diffugts", *segment], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    with process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(stage):
                break
        process.send_signal(number)
        output, said = process.communicate(timeout=30)
        assert process.returncode == 130 and not output
        assert b"Cancelled" in said and b"Traceback" not in said
    assert {path.name for path in tmp_path.iterdir()} == {"scan T1.nrrd"}


def test_an_interrupt_that_a_library_swallowed_is_heeded_at_the_next_progress(
    segment: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupts, "_asked", True)
    result = call(*segment)
    assert result.code == 130 and "Cancelled" in result.err
    assert {path.name for path in tmp_path.iterdir()} == {"scan T1.nrrd"}


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_at_once_and_is_remembered(number: signal.Signals) -> None:
    program = (
        "import os, signal\n"
        "from diffugts import interrupts\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "interrupts.listen()\n"
        "interrupts.heed()\n"
        "try:\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    print('went on')\n"
        "except BaseException as swallowed:\n"
        "    print(type(swallowed).__name__)\n"
        "try:\n"
        "    interrupts.heed()\n"
        "except KeyboardInterrupt:\n"
        "    print('heeded')\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), timeout=60
    )
    assert said.stdout.split() == ["Interrupt", "heeded"], said.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupt_inside_a_string_that_is_executed_keeps_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import os, signal, sys\n"
        "from diffugts import interrupts\n"
        "interrupts.listen()\n"
        "try:\n"
        "    exec('os.kill(os.getpid(), signal.SIGTERM)')\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    ended = subprocess.run([sys.executable, "-m", "program"], cwd=tmp_path, env=environment(), timeout=60)
    assert ended.returncode == 130


@given(
    st.lists(st.integers(-999, 999), min_size=6, max_size=6).filter(lambda n: all(a != b for a, b in zip(n[:3], n[3:])))
)
def test_a_box_may_be_given_by_any_two_opposite_corners(numbers: list[int]) -> None:
    one = Region.from_text(",".join(map(str, numbers)), "--roi")
    other = Region.from_text(" , ".join(map(str, numbers[3:] + numbers[:3])), "--roi")
    assert one == other
    assert all(low < high for low, high in zip(one.minimum_ras_mm, one.maximum_ras_mm))


@given(st.text(max_size=40))
def test_what_is_no_box_is_refused_with_a_sentence(text: str) -> None:
    try:
        Region.from_text(text, "--roi")
    except RequestError as error:
        assert "--roi is" in str(error)


@pytest.mark.parametrize("text", ["1,2,3,1,5,6", "nan,0,0,1,1,1", "inf,0,0,1,1,1", "1e9,0,0,1,1,1"])
def test_boxes_without_an_inside_are_refused(text: str) -> None:
    with pytest.raises(RequestError):
        Region.from_text(text, "--roi")


def test_events_are_json_lines_in_ascii(segment: list[str]) -> None:
    for line in call(*segment, "--json", "--no-picture").out.splitlines():
        assert line.isascii() and isinstance(json.loads(line), dict)
