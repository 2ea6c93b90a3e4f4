"""NIfTI's header, read directly: what ITK's reader corrects without saying so.

ITK replaces a spacing of zero by one, and passes over a sheared sform, or one that contradicts the voxel size,
in favour of the qform or of the bare spacing, where other software follows the sform: the two would see the
result in different places. Format: nifti1.h, nifti2.h.
"""

from __future__ import annotations

import gzip
import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffugts.errors import ScanError
from diffugts.scans.scan import Geometry


@dataclass(frozen=True)
class NiftiHeader:
    """The fields that are checked here. `dimensions` (x, y, z, ...); `spacing` without signs; `sform` 3x4, RAS."""

    dimensions: tuple[int, ...]
    voxel_bits: int
    voxel_offset: int
    spacing: tuple[float, float, float]
    qform_code: int
    sform_code: int
    sform: np.ndarray

    @property
    def file_bytes(self) -> int:
        """Length of the unpacked file that the header promises."""
        return max(0, self.voxel_offset) + math.prod(self.dimensions) * self.voxel_bits // 8

    @property
    def states_place(self) -> bool:
        """Whether the header says how the scan lies in the patient."""
        return self.qform_code > 0 or self.sform_code > 0

    @classmethod
    def parse(cls, header: bytes) -> NiftiHeader:
        """The header in the first 540 bytes of an unpacked file. Raises ValueError where there is none."""
        for order in "<>":
            if header[:4] == struct.pack(order + "i", 348) and len(header) >= 348:
                form, real, whole, places = order, "f", "h", (40, 72, 76, 108, 252, 280)
                offset_form, code_form = "f", "h"
                break
            if header[:4] == struct.pack(order + "i", 540) and len(header) >= 540:
                form, real, whole, places = order, "d", "q", (16, 14, 104, 168, 344, 400)
                offset_form, code_form = "q", "i"
                break
        else:
            raise ValueError("it has no NIfTI header")
        dimensions, bits, spacing, offset, codes, sform = places
        size = struct.unpack_from(f"{form}8{whole}", header, dimensions)
        if not 1 <= size[0] <= 7 or min(size[1 : size[0] + 1]) < 1:
            raise ValueError("its header gives an impossible size")
        x, y, z = struct.unpack_from(f"{form}3{real}", header, spacing + struct.calcsize(form + real))
        qform_code, sform_code = struct.unpack_from(f"{form}2{code_form}", header, codes)
        return cls(
            dimensions=size[1 : size[0] + 1],
            voxel_bits=struct.unpack_from(form + "h", header, bits)[0],
            voxel_offset=int(struct.unpack_from(form + offset_form, header, offset)[0]),
            spacing=(abs(x), abs(y), abs(z)),
            qform_code=qform_code,
            sform_code=sform_code,
            sform=np.reshape(struct.unpack_from(f"{form}12{real}", header, sform), (3, 4)),
        )

    @classmethod
    def read(cls, path: Path) -> NiftiHeader:
        """The header of the file `path`, packed or not. Raises ValueError, OSError or EOFError where it has none."""
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            return cls.parse(stream.read(540))


def require_sound_geometry(header: NiftiHeader, name: str) -> None:
    """Raise ScanError for a spacing that is none, or an sform that is sheared or contradicts the spacing."""
    if not np.isfinite(header.spacing).all() or min(header.spacing) <= 0:
        raise ScanError(f"The header of '{name}' gives a voxel spacing of 0 or none. Correct the file's header.")
    if header.sform_code <= 0:
        return
    lengths = np.linalg.norm(header.sform[:, :3], axis=0)
    if not np.isfinite(header.sform).all() or lengths.min() <= 0:
        raise ScanError(f"The sform in the header of '{name}' is not valid. Correct the file's header.")
    Geometry(
        (1, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), tuple((header.sform[:, :3] / lengths).ravel())
    ).require_orthonormal()
    if not np.allclose(lengths, header.spacing, rtol=1e-2):
        by_pixdim = " x ".join(f"{value:.4g}" for value in header.spacing)
        by_sform = " x ".join(f"{value:.4g}" for value in lengths)
        raise ScanError(
            f"The header of '{name}' contradicts itself: its voxel size is {by_pixdim} by pixdim and {by_sform} by its "
            "sform. Correct the file's header."
        )
