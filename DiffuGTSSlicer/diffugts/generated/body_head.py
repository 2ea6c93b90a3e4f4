"""A head above the skull base: scalp, skull with diploe, folded cortex, white matter, deep nuclei, ventricles."""

from __future__ import annotations

import numpy as np

from diffugts.generated.body_canvas import Canvas, either_of, inside_of
from diffugts.generated.body_tissues import Tissue

FIELD_MM = (140.0, 220.0, 180.0)
"""Height, depth and width of the field."""

FOLD_MM = 8.5
"""Distance scale of the folds of the cortex."""


def paint_head(canvas: Canvas) -> None:
    """Paint from the outside inwards; what is painted later lies on top."""
    rng = canvas.rng
    scale = canvas.about(1.0, 0.04)
    centre = (0.0, 0.0, 0.30 * canvas.height_mm)
    outer = canvas.ellipsoid(centre, (78 * scale, 98 * scale, 92 * scale))
    scalp_mm = rng.uniform(4.5, 7.5)
    canvas.paint("scalp", outer, Tissue.SKIN)
    canvas.paint("scalp", outer + 1.8, Tissue.FAT)
    skull = outer + scalp_mm + 0.8 * canvas.noise(40.0)
    skull_mm = 6.5 + 0.8 * canvas.noise(50.0)
    canvas.paint("skull", skull, Tissue.CORTICAL_BONE)
    canvas.paint("skull", inside_of(skull + 2.0, -skull - skull_mm + 2.0), Tissue.CANCELLOUS_BONE, shade=1.6)
    inner = skull + skull_mm
    canvas.paint("cerebrospinal fluid", inner, Tissue.CSF)
    _paint_brain(canvas, inner, scale)


def _paint_brain(canvas: Canvas, inner: np.ndarray, scale: float) -> None:
    """Cortex follows the brain's surface and the sulci, the zero levels of a field that is folded near the surface."""
    folds = np.abs(canvas.noise(FOLD_MM)) * 0.62 * FOLD_MM
    deeper = np.abs(canvas.noise(1.7 * FOLD_MM)) * 1.05 * FOLD_MM
    depth = -inner - 1.6
    sulci = either_of(inside_of(folds - 0.9, depth - 13.0), inside_of(deeper - 1.1, depth - 24.0))
    between = np.abs(canvas.x + 1.5 * canvas.noise(30.0)) - 1.1
    midline = inside_of(between, 0.3 * canvas.height_mm - canvas.z, depth - 38.0)
    gaps = either_of(sulci, midline)
    brain = inside_of(-depth, -gaps)
    canvas.paint("grey matter", brain, Tissue.GREY_MATTER)
    ribbon = canvas.about(3.0, 0.1)
    near_sulci = either_of(
        np.where(depth < 17, folds - 0.9, 1e3),
        np.where(depth < 28, deeper - 1.1, 1e3),
        np.where(depth < 41, midline, 1e3),
    )
    white = inside_of(ribbon - depth, ribbon - near_sulci)
    canvas.paint("white matter", white, Tissue.WHITE_MATTER)
    _paint_deep_structures(canvas, scale)


def _paint_deep_structures(canvas: Canvas, scale: float) -> None:
    base = 0.30 * canvas.height_mm
    for side in (-1, 1):
        thalamus = canvas.ellipsoid((side * 11 * scale, 8 * scale, base + 2), (9.0, 15.0, 11.0), side * 20.0)
        lentiform = canvas.ellipsoid((side * 25 * scale, -8 * scale, base + 2), (7.0, 17.0, 12.0), side * -12.0)
        caudate = canvas.ellipsoid((side * 14 * scale, -26 * scale, base + 10), (5.5, 10.0, 11.0), side * -15.0)
        for nucleus in (thalamus, lentiform, caudate):
            canvas.paint("deep grey matter", nucleus + 0.8 * canvas.noise(12.0), Tissue.GREY_MATTER)
    width = canvas.about(1.0, 0.25)
    for side in (-1, 1):
        line = ((15, -42, 16), (8, -18, 22), (9, 12, 24), (20, 36, 14), (22, 52, 8))
        points = [(side * x * scale, y * scale, base + z) for x, y, z in line]
        horn = canvas.tube(points, [radius * width for radius in (3.5, 5.5, 5.5, 6.5, 3.0)])
        canvas.paint("ventricles", horn + 0.6 * canvas.noise(10.0), Tissue.CSF)
    third = canvas.ellipsoid((0.0, 4.0, base + 2), (2.2 * width, 16.0, 10.0))
    canvas.paint("ventricles", third, Tissue.CSF)
