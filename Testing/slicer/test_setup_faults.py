"""What pip says when it fails, told as the fault that it is, and every fault told in a sentence."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from pathlib import Path

import pytest

from DiffuGTSSlicerLib.setup_faults import Fault, SetupFault, fault_of_pip, fault_of_system
from DiffuGTSSlicerLib.setup_sentences import sentence_of, size_in_words

LIBRARY = Path(__file__).resolve().parents[2] / "DiffuGTSSlicer"

UNREACHABLE = (
    "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by "
    "'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish a new "
    "connection: [Errno -3] Temporary failure in name resolution')': /simple/torch/"
)
NOTHING_FOUND = "ERROR: No matching distribution found for torch==2.13.0"


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([UNREACHABLE, NOTHING_FOUND], Fault.NO_CONNECTION),
        ([NOTHING_FOUND], Fault.NO_PACKAGE),
        (["ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"], Fault.DISK_FULL),
        (
            [
                "ERROR: Could not install packages due to an OSError: [WinError 112] There is not enough space on the disk"
            ],
            Fault.DISK_FULL,
        ),
        (["SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] self-signed')))"], Fault.CERTIFICATE),
        (["ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407'))"], Fault.NO_CONNECTION),
        (
            [
                "ERROR: Could not install packages due to an OSError: [WinError 206] The filename or extension is too long"
            ],
            Fault.PATH_TOO_LONG,
        ),
        (
            ["ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/opt/x'"],
            Fault.NOT_WRITABLE,
        ),
        (["ERROR: Wheel 'monai' located at /w/monai-1.6.1-py3-none-any.whl is invalid."], Fault.DAMAGED_WHEEL),
        (["/usr/bin/python3: No module named pip"], Fault.PIP_MISSING),
        (["Collecting torch", "ERROR: ResolutionImpossible: for help visit a page", ""], Fault.PIP_FAILED),
    ],
)
def test_pip_s_words_are_understood(lines: list[str], fault: Fault):
    assert fault_of_pip(lines).fault is fault


def test_the_package_and_the_wheel_at_fault_are_named():
    assert fault_of_pip([NOTHING_FOUND]).facts["package"] == "torch==2.13.0"
    wheel = fault_of_pip(["ERROR: Wheel 'monai' located at /w/monai-1.6.1-py3-none-any.whl is invalid."])
    assert wheel.facts["wheel"] == "monai-1.6.1-py3-none-any.whl"
    assert "ResolutionImpossible" in fault_of_pip(["ERROR: ResolutionImpossible: no"]).facts["line"]


def test_a_full_disk_is_told_from_a_place_that_cannot_be_written_to():
    full = fault_of_system(OSError(errno.ENOSPC, "No space left on device"), "/data")
    assert full.fault is Fault.DISK_FULL
    closed = fault_of_system(PermissionError(errno.EACCES, "Permission denied"), "/data")
    assert closed.fault is Fault.NOT_WRITABLE and closed.facts == {"folder": "/data", "line": "Permission denied"}


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_a_sentence_that_says_what_to_do(fault: Fault):
    facts = {
        "folder": "/data/{curly}",
        "line": "why {not}",
        "package": "torch",
        "python": "/p",
        "problems": ["torch: no"],
    }
    sentence = sentence_of(SetupFault(fault, **facts))
    assert len(sentence) > 60 and sentence.endswith(".")
    assert not re.search(r"\{(?!curly|not)", sentence)


def test_a_disk_that_is_too_small_is_told_with_what_is_needed_and_what_is_free():
    sentence = sentence_of(SetupFault(Fault.DISK_FULL, folder="/data", needed=7_100_000_000, free=350_000_000))
    assert sentence.startswith("About 7.1 GB are needed in '/data', and 350 MB are free.")


def test_sizes_are_told_in_the_unit_that_people_use():
    assert [size_in_words(size) for size in (0, 3, 25_400_000, 1_870_000_000)] == ["0 MB", "1 MB", "25 MB", "1.9 GB"]


def test_the_installing_program_needs_nothing_but_python():
    code = f"import sys; sys.path.insert(0, {str(LIBRARY)!r}); import DiffuGTSSlicerLib.package_install"
    assert subprocess.run([sys.executable, "-I", "-S", "-c", code]).returncode == 0


def test_the_manual_explains_every_message():
    manual = (LIBRARY.parent / "docs" / "installation.md").read_text(encoding="utf-8")
    blanks = {
        "folder": "…",
        "line": "…",
        "package": "…",
        "wheel": "…",
        "python": "…",
        "version": "…",
        "problems": ["…"],
    }
    for fault in Fault:
        pieces = re.split(r"'?…'?", sentence_of(SetupFault(fault, **blanks)))
        beginning = next(piece for piece in pieces if piece.strip()).strip()
        words = " ".join(re.split(r"[.(,:]", beginning)[0].split()[:4]) or beginning
        assert words in manual, f"{fault.name}: {words!r}"
