"""The devices a user can choose from, as the last check found them."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _

from DiffuGTSSlicerLib.worker_check import OK, CheckReport, Found

AUTOMATIC, CPU, OTHER_MACHINE = "auto", "cpu", "other machine"
"""What a request names devices by; another machine chooses its own device."""


@dataclass(frozen=True)
class DeviceOption:
    """A device.

    Args:
        value: what a request names it by: "auto", "cpu", "cuda:0", "mps".
        label: what people name it by.
        proven: whether a small computation on it came out right in the last check.
    """

    value: str
    label: str
    proven: bool


def device_options(report: CheckReport | None) -> tuple[DeviceOption, ...]:
    """ "auto" with what it stands for, then every device that was found; only the CPU where nothing was checked."""
    found = report.about("device") if report else []
    devices = [DeviceOption(line.name, _label(line), line.state == OK) for line in found]
    if not any(device.value == CPU for device in devices):
        devices.append(DeviceOption(CPU, _("CPU"), False))
    best = _best(report)
    label = _("Automatic ({device})").format(device=_label(best)) if best else _("Automatic")
    return DeviceOption(AUTOMATIC, label, best is not None), *devices


def best_device_in_words(report: CheckReport) -> str:
    """What will be computed on if nothing else is chosen: "GPU 0 NVIDIA RTX A2000 (tested)"."""
    best = _best(report)
    if best is None:
        return _("no device works")
    broken = [line for line in report.about("device") if line.state != OK]
    if broken and best.name == CPU:
        return _("CPU (tested; the GPU cannot be used)")
    return _("{device} (tested)").format(device=_label(best))


def _best(report: CheckReport | None) -> Found | None:
    """The first CUDA device that works, else the CPU: what the worker does with "auto"."""
    working = [line for line in report.about("device") if line.state == OK] if report else []
    cuda = [line for line in working if line.name.startswith("cuda")]
    return next(iter([*cuda, *(line for line in working if line.name == CPU)]), None)


def _label(line: Found) -> str:
    title = line.facts.get("title", "")
    if line.name == CPU:
        return _("CPU")
    if line.name == "mps":
        return _("Apple GPU")
    number = line.name.partition(":")[2]
    return _("GPU {number} {title}").format(number=number, title=title).replace("  ", " ").strip()
