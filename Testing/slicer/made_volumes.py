"""Volumes in the scene with awkward geometries, for tests."""

from __future__ import annotations

import numpy as np
import slicer

SHAPE = (16, 20, 24)


def matrix(kind: str) -> np.ndarray:
    """4x4 IJK-to-RAS of a straight, oblique, left-handed or very anisotropic grid."""
    spacing = {"anisotropic": (0.31, 0.31, 7.5)}.get(kind, (0.7, 0.8, 2.5))
    axes = np.eye(3)
    if kind in ("oblique", "left-handed"):
        a, b = 0.31, -0.23
        about_s = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        about_r = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
        axes = about_s @ about_r
    if kind == "left-handed":
        axes = axes @ np.diag([1, 1, -1])
    if kind == "sagittal":
        axes = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    result = np.eye(4)
    result[:3, :3] = axes * spacing
    result[:3, 3] = (-123.456789, 78.9012345, 1034.5678901)
    return result


KINDS = ("straight", "oblique", "left-handed", "anisotropic", "sagittal")


def made_volume(kind: str = "oblique", dtype: str = "int16", name: str = "CT liver", shape=SHAPE):
    """A volume with noise in it."""
    values = np.random.default_rng(0).normal(40, 20, shape)
    return slicer.util.addVolumeFromArray(values.astype(dtype), ijkToRAS=matrix(kind), name=name)
