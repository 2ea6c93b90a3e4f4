"""Jobs of a real scene carried out by a real server in another process: the same result, and not a byte more than agreed."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("fastapi", reason="the extra 'server' is not installed")
pytest.importorskip("httpx", reason="the extra 'test' is not installed")
ROOT = Path(__file__).resolve().parents[2]
from job_bench import JobBench  # noqa: E402
from made_volumes import made_volume  # noqa: E402

from diffugts.errors import RequestError  # noqa: E402
from DiffuGTSSlicerLib.freeze import freeze_order  # noqa: E402
from DiffuGTSSlicerLib.job import JobState  # noqa: E402
from DiffuGTSSlicerLib.server_address import TOKEN_VARIABLE, server_address  # noqa: E402
from DiffuGTSSlicerLib.worker_command import LIBRARY_FOLDER, WorkerCommand  # noqa: E402
from running_server import TOKEN, RunningServer  # noqa: E402

PATIENT = "Doe^Jane"


def remote_worker(address: str, token: str = TOKEN) -> WorkerCommand:
    """As Slicer starts it; the environment's own token variable must not help."""
    arguments = ("-m", "DiffuGTSSlicerLib.remote_worker", address)
    environment = {**os.environ, TOKEN_VARIABLE: token}
    return WorkerCommand(
        Path(sys.executable), LIBRARY_FOLDER, environment, keep_python_variables=True, arguments=arguments
    )


class Wire:
    """Stands between a client and a server and keeps every byte that the client sends; `cut` breaks all connections."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.sent: list[bytes] = []
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        for each in self._open:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was closed already

    def close(self) -> None:
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._open += [client, server]
            threading.Thread(target=self._pump, args=(client, server, self.sent), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, None), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket, kept: list[bytes] | None) -> None:
        try:
            while data := source.recv(65536):
                if kept is not None:
                    kept.append(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side is gone


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with RunningServer(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def wire(server):
    wire = Wire(server.port)
    yield wire
    wire.close()


def ordered(volume, *descriptions: str, **more):
    return freeze_order(volume, descriptions or ("bright ball",), modality="MR", device="other machine", **more)


def finished(bench: JobBench, order, patience_s: float = 60.0):
    job = bench.queue.add(order)
    ends = time.monotonic() + patience_s
    while not job.state.over:
        assert time.monotonic() < ends, (job.state, job.progress, bench.lines)
        bench.queue.tick()
        time.sleep(0.01)
    return job


def tick_until(bench: JobBench, met, patience_s: float = 60.0) -> None:
    ends = time.monotonic() + patience_s
    while not met():
        assert time.monotonic() < ends, bench.lines
        bench.queue.tick()
        time.sleep(0.01)


@pytest.fixture
def make_bench(scene, tmp_path: Path):
    made = []

    def make(command: WorkerCommand) -> JobBench:
        folder = tmp_path / f"{PATIENT}-jobs-{len(made)}"
        folder.mkdir()
        made.append(JobBench(scene, folder, command))
        return made[-1]

    yield make
    for bench in made:
        bench.queue.close()


def test_a_job_comes_back_whole_into_the_scene_and_is_gone_from_the_server(server, make_bench):
    job = finished(make_bench(remote_worker(server.address)), ordered(made_volume("oblique", shape=(20, 24, 28))))
    assert job.state is JobState.DONE, f"{job.reason} {job.details}"
    assert slicer.mrmlScene.GetNodeByID(job.result.segmentation_id) is not None
    assert server.job_folders == []


def test_of_a_patient_nothing_leaves(server, wire, make_bench, monkeypatch):
    monkeypatch.setenv("USER", PATIENT)
    volume = made_volume("oblique", name=f"CT of {PATIENT} 1950-01-31", shape=(20, 24, 28))
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.826.0.1.3680043.8.498.111")
    volume.SetAttribute("DICOM.PatientName", PATIENT)
    volume.SetDescription(f"{PATIENT}, born 1950")
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(f"/archive/{PATIENT}/ct.nrrd")
    volume.SetAndObserveStorageNodeID(storage.GetID())
    job = finished(make_bench(remote_worker(wire.address)), ordered(volume, "hypodense nodule"))
    assert job.state is JobState.DONE, f"{job.reason} {job.details}"
    sent = b"".join(wire.sent)
    voxels = slicer.util.arrayFromVolume(volume)
    assert voxels.tobytes() in sent and b"hypodense nodule" in sent, "the wire was listened to"
    for word in (
        PATIENT,
        "Doe",
        "Jane",
        "1950",
        "1.2.826",
        "archive",
        "DICOM",
        str(job.folder),
        "scan.nrrd",
        socket.gethostname(),
    ):
        assert word.encode() not in sent, word
    heads = sent.replace(voxels.tobytes(), b"").decode("latin-1")
    names = {line.split(":")[0] for line in heads.split("\r\n") if ": " in line and not line.startswith(("{", "NRRD"))}
    assert names <= {
        "Host", "Accept-Encoding", "Content-Length", "Content-Type", "X-DiffuGTS-Protocol", "User-Agent", "Authorization",
        "Last-Event-ID",
    }, "no header of HTTP tells more"  # fmt: skip


@pytest.mark.parametrize("moment", ["attending", "refining"])
def test_a_connection_that_breaks_costs_nothing(make_bench, tmp_path: Path, moment: str):
    with RunningServer(tmp_path / "server", step_s=0.03) as server:
        wire = Wire(server.port)
        bench = make_bench(remote_worker(wire.address))
        job = bench.queue.add(ordered(made_volume("oblique", shape=(20, 24, 28))))
        tick_until(bench, lambda: job.progress.stage == moment or job.state.over)
        wire.cut()
        tick_until(bench, lambda: job.state.over)
        assert job.state is JobState.DONE, f"{job.reason} {job.details}"
        wire.close()


def test_a_server_that_is_killed_and_started_again_still_delivers(make_bench, tmp_path: Path):
    with RunningServer(tmp_path / "server", step_s=0.03) as server:
        bench = make_bench(remote_worker(server.address))
        job = bench.queue.add(ordered(made_volume("oblique", shape=(20, 24, 28))))
        tick_until(bench, lambda: job.progress.stage == "attending" or job.state.over)
        server.kill()
        server.start()
        tick_until(bench, lambda: job.state.over)
        assert job.state is JobState.DONE, f"{job.reason} {job.details}"


def test_cancelling_keeps_what_was_finished_and_frees_the_server(make_bench, tmp_path: Path):
    with RunningServer(tmp_path / "server", step_s=0.05) as server:
        bench = make_bench(remote_worker(server.address))
        job = bench.queue.add(ordered(made_volume("oblique", shape=(20, 24, 28)), "bright ball", "dark ball"))
        tick_until(bench, lambda: (job.progress.stage == "attending" and job.progress.done >= 12) or job.state.over)
        bench.queue.cancel(job)
        tick_until(bench, lambda: job.state.over)
        assert job.state is JobState.CANCELLED and job.result is not None, f"{job.reason} {job.details}"
        assert [finding.description for finding in job.result.record.findings] == ["bright ball"]
        assert server.job_folders == []


def test_the_client_killed_in_the_middle_fails_the_job_with_a_sentence(make_bench, tmp_path: Path):
    with RunningServer(tmp_path / "server", step_s=0.05) as server:
        bench = make_bench(remote_worker(server.address))
        job = bench.queue.add(ordered(made_volume("oblique", shape=(20, 24, 28))))
        tick_until(bench, lambda: job.progress.stage == "encoding" or job.state.over)
        os.kill(bench.workers[-1].pid, 9)
        tick_until(bench, lambda: job.state.over)
        assert job.state is JobState.FAILED and job.reason


@pytest.mark.parametrize(
    ("token", "sentence"), [("", "does not know this token"), ("another-token-of-somebody", "does not know this token")]
)
def test_a_wrong_token_is_told_and_nothing_was_sent(server, wire, make_bench, token: str, sentence: str):
    volume = made_volume("oblique", shape=(20, 24, 28))
    job = finished(make_bench(remote_worker(wire.address, token)), ordered(volume))
    assert job.state is JobState.FAILED and sentence in job.reason
    assert slicer.util.arrayFromVolume(volume).tobytes() not in b"".join(wire.sent)


def test_a_model_that_the_server_lacks_is_told_before_the_scan_is_sent(server, wire, make_bench):
    volume = made_volume("oblique", shape=(20, 24, 28))
    job = finished(make_bench(remote_worker(wire.address)), ordered(volume, model="/home/doe/private-model"))
    assert job.state is JobState.FAILED and "It has 'compact'" in job.reason
    assert b"/home/doe" not in b"".join(wire.sent)
    assert slicer.util.arrayFromVolume(volume).tobytes() not in b"".join(wire.sent)


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("gpu-server", "https://gpu-server:8765"),
        (" GPU-Server.hospital.example:9000/ ", "https://gpu-server.hospital.example:9000"),
        ("http://10.0.0.7", "http://10.0.0.7:8765"),
        ("https://gpu/", "https://gpu:8765"),
        ("localhost:8000", "http://localhost:8000"),
        ("[::1]:9", "http://[::1]:9"),
    ],
)
def test_an_address_is_understood_as_people_type_it(typed: str, understood: str):
    assert str(server_address(typed)) == understood


@pytest.mark.parametrize(
    "typed", ["", "ftp://gpu", "https://name:word@gpu", "gpu:99999", "gpu/path", "a b", "-x", "https://"]
)
def test_what_is_no_address_is_told(typed: str):
    with pytest.raises(RequestError, match="is not the address of a server"):
        server_address(typed)


def test_slicers_own_process_never_loads_a_network_client():
    folder = ROOT / "DiffuGTSSlicer" / "DiffuGTSSlicerLib"
    clients = ("import http", "from http", "import socket", "import requests", "urllib.request", "import ssl")
    connecting = [path.name for path in folder.glob("*.py") if any(word in path.read_text() for word in clients)]
    assert connecting == ["server_connection.py"]
    using = [path.name for path in folder.glob("*.py") if "server_connection import" in path.read_text()]
    assert using == ["remote_worker.py"], "which runs in a process of its own"
    assert not [path.name for path in folder.glob("*.py") if "remote_worker import" in path.read_text()]
