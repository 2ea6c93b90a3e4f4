"""The setup panel's words: what each fault means and what to do, the steps of an installation, sizes."""

from __future__ import annotations

import sys

from slicer.i18n import tr as _

from DiffuGTSSlicerLib import package_install as steps
from DiffuGTSSlicerLib.setup_faults import Fault, SetupFault


def sentence_of(fault: SetupFault) -> str:
    """What happened, what it means, what to do."""
    if fault.fault is Fault.DISK_FULL and "needed" in fault.facts:
        text = _(
            "About {needed} are needed in '{folder}', and {free} are free. Free some space or choose another folder, then press "
            "Resume. What has been fetched so far is kept."
        )
    else:
        text = _sentences()[fault.fault]
    facts = {"folder": "", "line": "", "python": "", "package": "", "wheel": "", "version": "", **fault.facts}
    for name in ("needed", "free"):
        facts[name] = size_in_words(int(facts.get(name) or 0))
    facts["problems"] = "; ".join(fault.facts.get("problems") or [_("no reason was given")])
    facts["own"] = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return text.format(**facts)


def _sentences() -> dict[Fault, str]:
    return {
        Fault.NO_CONNECTION: _(
            "The package index could not be reached. Check the network, or the proxy that pip is set up with, then press "
            "Resume; what has been fetched so far is kept. Without a network, install from a folder of wheels."
        ),
        Fault.CERTIFICATE: _(
            "The package index was reached, but its certificate is not trusted here. This is common behind a hospital's "
            "proxy: ask IT for its certificate and set it up for pip (pip config set global.cert), then press Resume."
        ),
        Fault.DISK_FULL: _(
            "The disk became full while packages were written. Free some space or choose another folder, then press "
            "Resume. What has been fetched so far is kept."
        ),
        Fault.NOT_WRITABLE: _(
            "Nothing can be written to '{folder}' ({line}). Choose another folder for the packages, or ask IT for the "
            "right to write there."
        ),
        Fault.NO_PACKAGE: _(
            "'{package}' was not found for Python {own} on this kind of computer. From an index: the address may be wrong, "
            "or lack this version. From a folder of wheels: it was filled for another Python or system."
        ),
        Fault.DAMAGED_WHEEL: _(
            "A package file is damaged {wheel}. It may have been cut off while it was copied. Copy or fetch it again."
        ),
        Fault.PATH_TOO_LONG: _(
            "A file's path became longer than this system allows. Choose a folder with a shorter path for the packages, "
            "for example directly below your home folder."
        ),
        Fault.PIP_MISSING: _(
            "This Slicer's Python has no pip, which installs packages. Reinstall Slicer, or choose another Python below."
        ),
        Fault.PIP_FAILED: _("pip could not install the packages: {line}. The log below tells more."),
        Fault.PYTHON_VERSION: _(
            "Python {version} cannot be used: 3.10 to 3.13 are supported. Choose another Python, or a Slicer from 5.10 on."
        ),
        Fault.NO_WHEELS: _(
            "There are no wheels (*.whl) in '{folder}'. Choose the folder that was filled on the other computer."
        ),
        Fault.NOT_OURS: _(
            "'{folder}' was not made by DiffuGTS, so it is left alone. Choose another folder for the packages, or move it "
            "away yourself."
        ),
        Fault.IN_USE: _(
            "'{folder}' is in use by another program ({line}). Close other Slicers, wait a moment, and try again."
        ),
        Fault.BUSY: _("Another Slicer is installing into '{folder}' at this moment. Wait until it has finished."),
        Fault.BROKEN: _(
            "The packages are there but do not work: {problems}. Press Repair to install them afresh; nothing else is "
            "touched."
        ),
        Fault.NO_PYTHON: _("'{python}' does not start as a Python ({line}). Choose the python program itself."),
        Fault.NO_MODULE: _(
            "The Python '{python}' lacks the package '{package}'. Install the worker's packages into it "
            "(docs/installation.md tells how), or choose the extension's own folder."
        ),
        Fault.KILLED: _("The program was ended from outside ({line}). Press Resume to go on where it was."),
        Fault.DEFECT: _(
            "Something happened that was not foreseen ({line}). The log below tells more; please report it."
        ),
    }


def step_in_words(step: str) -> str:
    """What an installation is doing."""
    return {
        steps.PREPARE: _("Preparing the folder"),
        steps.TORCH: _("Fetching PyTorch"),
        steps.OTHERS: _("Fetching the other packages"),
        steps.UNPACK: _("Unpacking"),
        steps.CHECK: _("Trying the packages and the devices"),
        steps.SWAP: _("Moving the packages into place"),
        "remove": _("Removing the packages"),
        "discard": _("Removing what was left"),
    }.get(step, step)


def size_in_words(size_bytes: int) -> str:
    """ "1.9 GB", "25 MB"."""
    if size_bytes >= 1e9:
        return _("{size} GB").format(size=f"{size_bytes / 1e9:.1f}")
    return _("{size} MB").format(size=f"{max(size_bytes / 1e6, min(size_bytes, 1)):.0f}")
