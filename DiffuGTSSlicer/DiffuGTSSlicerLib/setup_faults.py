"""What may go wrong while packages are installed, and how pip's output tells which of it happened.

Standard library only: the program that installs (`package_install`) runs without Slicer. The sentences for the user are
in `setup_sentences`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import Any


class Fault(str, Enum):
    """One kind of failure; the value crosses from the installing program to Slicer."""

    NO_CONNECTION = "no connection"
    CERTIFICATE = "certificate"
    DISK_FULL = "disk full"
    NOT_WRITABLE = "not writable"
    NO_PACKAGE = "no package"
    DAMAGED_WHEEL = "damaged wheel"
    PATH_TOO_LONG = "path too long"
    PIP_MISSING = "pip missing"
    PIP_FAILED = "pip failed"
    PYTHON_VERSION = "python version"
    NO_WHEELS = "no wheels"
    NOT_OURS = "not ours"
    IN_USE = "in use"
    BUSY = "busy"
    BROKEN = "broken"
    NO_PYTHON = "no python"
    NO_MODULE = "no module"
    KILLED = "killed"
    DEFECT = "defect"


class SetupFault(Exception):
    """A failure with what its sentence needs: paths, sizes in bytes, names."""

    def __init__(self, fault: Fault, **facts: Any) -> None:
        super().__init__(f"{fault.value} {facts}")
        self.fault, self.facts = fault, facts


_SIGNS: tuple[tuple[Fault, str], ...] = (
    # The order matters: pip ends with "no matching distribution" when it could not reach the index at all.
    (Fault.PIP_MISSING, r"No module named '?pip'?"),
    (Fault.DISK_FULL, r"No space left on device|\[Errno 28\]|\[WinError 112\]|not enough space on the disk|Disk quota"),
    (Fault.CERTIFICATE, r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|certificate verify failed"),
    (
        Fault.NO_CONNECTION,
        r"NewConnectionError|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|Max retries exceeded|ProxyError"
        r"|Failed to establish a new connection|Network is unreachable|getaddrinfo failed|ConnectionResetError"
        r"|Connection refused|Temporary failure in name resolution|IncompleteRead|connection broken by",
    ),
    (Fault.PATH_TOO_LONG, r"\[WinError 206\]|File name too long|enable Windows Long Path|long paths? support"),
    (Fault.NOT_WRITABLE, r"Permission denied|\[Errno 13\]|\[WinError 5\]|Read-only file system|\[Errno 30\]"),
    (Fault.DAMAGED_WHEEL, r"BadZipFile|[Ww]heel '?\S+'? .*is invalid|has an invalid wheel|do not match the hashes"),
)
_NO_PACKAGE = re.compile(
    r"No matching distribution found for ([^\s;(]+)|Could not find a version that satisfies the requirement ([^\s;(]+)"
)
_WHEEL = re.compile(r"[\w.+-]+\.whl")


def fault_of_pip(output: Sequence[str]) -> SetupFault:
    """Which fault the lines of a pip that failed tell of."""
    text = "\n".join(output)
    for fault, signs in _SIGNS:
        if re.search(signs, text):
            wheel = _WHEEL.search(text[text.find("invalid") - 200 :]) if fault is Fault.DAMAGED_WHEEL else None
            return SetupFault(fault, wheel=wheel.group() if wheel else "")
    missing = _NO_PACKAGE.search(text)
    if missing:
        return SetupFault(Fault.NO_PACKAGE, package=missing.group(1) or missing.group(2))
    errors = [line for line in output if line.startswith("ERROR")] or [line for line in output if line.strip()]
    return SetupFault(Fault.PIP_FAILED, line=errors[-1].removeprefix("ERROR: ") if errors else "")


def fault_of_system(error: OSError, folder: object) -> SetupFault:
    """Which fault an OSError is that came from writing below a folder."""
    found = fault_of_pip([str(error)])
    fault = found.fault if found.fault in (Fault.DISK_FULL, Fault.PATH_TOO_LONG) else Fault.NOT_WRITABLE
    return SetupFault(fault, folder=str(folder), line=error.strerror or str(error))
