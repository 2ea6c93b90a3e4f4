"""NRRD files for tests, written without any imaging library: what a worker would leave."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

TYPES = {"float32": "float", "uint8": "uint8", "int16": "int16"}


def write_nrrd(path: Path, array: np.ndarray, ijk_to_lps: np.ndarray, extra: dict[str, str] | None = None) -> None:
    """Write `array` (k, j, i), or (k, j, i, layer) as a list of layers, gzip-compressed."""
    layers = array.shape[3:] or ()
    sizes = [*layers, *array.shape[2::-1]]
    columns = ["(" + ",".join(repr(float(x)) for x in ijk_to_lps[:3, axis]) + ")" for axis in range(3)]
    header = [
        "NRRD0004",
        f"type: {TYPES[str(array.dtype)]}",
        f"dimension: {len(sizes)}",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(n) for n in sizes),
        "space directions: " + " ".join(["none"] * len(layers) + columns),
        "kinds: " + " ".join(["list"] * len(layers) + ["domain"] * 3),
        "endian: little",
        "encoding: gzip",
        "space origin: (" + ",".join(repr(float(x)) for x in ijk_to_lps[:3, 3]) + ")",
        *(f"{key}:={value}" for key, value in (extra or {}).items()),
    ]
    body = gzip.compress(np.ascontiguousarray(array).tobytes(), 1)
    path.write_bytes("\n".join(header).encode() + b"\n\n" + body)


def read_nrrd_header(path: Path) -> dict[str, str]:
    """The fields of a NRRD file's header."""
    head = path.read_bytes().split(b"\n\n", 1)[0].decode()
    return dict(line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line)


def read_nrrd(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The voxels (k, j, i) of a scalar NRRD volume with raw or gzip encoding, and its 4x4 matrix to LPS."""
    content = path.read_bytes()
    fields = read_nrrd_header(path)
    body = content.split(b"\n\n", 1)[1]
    if fields["encoding"] in ("gzip", "gz"):
        body = gzip.decompress(body)
    kind = {"float": "f4", "double": "f8", "short": "i2", "int16": "i2", "unsigned char": "u1", "uint8": "u1"}[
        fields["type"]
    ]
    sizes = [int(n) for n in fields["sizes"].split()]
    matrix = np.eye(4)
    columns = fields["space directions"].strip("()").split(") (")
    for axis, column in enumerate(columns):
        matrix[:3, axis] = [float(x) for x in column.split(",")]
    matrix[:3, 3] = [float(x) for x in fields["space origin"].strip("()").split(",")]
    return np.frombuffer(body, np.dtype(kind).newbyteorder("<")).reshape(sizes[::-1]), matrix
