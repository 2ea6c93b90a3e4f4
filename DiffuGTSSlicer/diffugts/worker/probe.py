"""Does it really work here? Imports every library and tries every device, in a process of its own.

    python -m diffugts.worker.probe

prints a line of JSON for every attempt. A broken driver or a half-installed library may end the process or hang it;
`probe` runs it as a child, and what the child last began is then what did not work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TextIO

LIBRARIES = (
    "numpy",
    "scipy.ndimage",
    "SimpleITK",
    "safetensors",
    "psutil",
    "matplotlib",
    "einops",
    "torch",
    "monai",
    "diffusers",
    "huggingface_hub",
    "transformers",
    "accelerate",
)
"""Everything that a job or a training imports, from the light to the heavy."""

PATIENCE_S = 180.0
TEXT_ENCODER = "text encoder"


@dataclass(frozen=True)
class Trial:
    """One attempt: `kind` is "library", "text encoder" or "device"; `problem` says why it failed, None where it works."""

    name: str
    kind: str
    detail: str = ""
    problem: str | None = None


def probe(patience_s: float = PATIENCE_S, command: Sequence[str] = (sys.executable, "-m", __name__)) -> list[Trial]:
    """Try everything in a child process; a trial that ends the child, or takes too long, is reported as a problem."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(entry for entry in (package, os.environ.get("PYTHONPATH", "")) if entry)
    child = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "1"},
    )
    try:
        output, _ = child.communicate(timeout=patience_s)
        ending = f"the process ended with {child.returncode} while it was tried"
    except subprocess.TimeoutExpired:
        child.kill()
        output, _ = child.communicate()
        ending = f"it had not finished after {patience_s:.0f} s"
    trials, begun = [], None
    for line in output.decode("utf-8", "replace").splitlines():
        facts = json.loads(line)
        if "begin" in facts:
            begun = Trial(facts["begin"], facts["kind"])
        else:
            trials.append(Trial(**facts))
            begun = None
    if begun is not None:
        trials.append(Trial(begun.name, begun.kind, problem=f"{ending}."))
    elif child.returncode:
        trials.append(Trial("probe", "library", problem=f"{ending}."))
    return trials


def try_all(lines: TextIO) -> None:
    """Try libraries, text encoder and devices in this process, a line before and after each."""
    for library in LIBRARIES:
        _try(lines, library, "library", lambda name=library: _import(name))  # type: ignore[misc]
    _try(lines, TEXT_ENCODER, TEXT_ENCODER, _load_text_encoder)
    for name, detail in _devices().items():
        _try(lines, name, "device", lambda name=name, detail=detail: _use(name, detail))  # type: ignore[misc]


def _try(lines: TextIO, name: str, kind: str, attempt: Callable[[], str]) -> None:
    """`attempt` returns a detail, or raises."""
    print(json.dumps({"begin": name, "kind": kind}), file=lines, flush=True)
    try:
        trial = Trial(name, kind, attempt())
    except Exception as error:  # whatever a broken library raises is what is to be reported
        trial = Trial(name, kind, problem=f"{type(error).__name__}: {error}")
    print(json.dumps(asdict(trial)), file=lines, flush=True)


def _import(library: str) -> str:
    import_module(library)
    return ""


def _load_text_encoder() -> str:
    from diffugts.descriptions.encoder import load_text_encoder

    encoder = load_text_encoder()
    encoder.embed(["tumour"])
    return encoder.name


def _devices() -> dict[str, str]:
    """Devices that torch knows of, with what they are; a CUDA build without a usable GPU counts as "cuda"."""
    try:
        import torch
    except Exception:  # reported as a library already
        return {}
    devices = {"cpu": f"{torch.get_num_threads()} threads"}
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(number)
            devices[f"cuda:{number}"] = f"{facts.name}, {facts.total_memory / 2**30:.1f} GB, CUDA {torch.version.cuda}"
    elif torch.version.cuda is not None:
        devices["cuda"] = f"CUDA {torch.version.cuda}"
    if torch.backends.mps.is_available():
        devices["mps"] = "Apple GPU"
    return devices


def _use(name: str, detail: str) -> str:
    from diffugts.worker.device import device_problem

    problem = device_problem(name)
    if problem is not None:
        raise RuntimeError(problem)
    return detail


if __name__ == "__main__":
    # Libraries print when they are imported: only the lines of trials belong on standard output.
    trial_lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try_all(trial_lines)
