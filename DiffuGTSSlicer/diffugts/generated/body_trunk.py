"""What abdomen and thorax share: the wall with its ribs, the spine, and vessels that branch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffugts.generated.body_canvas import Canvas, inside_of
from diffugts.generated.body_tissues import Tissue

SPINE_X_MM, VERTEBRA_HEIGHT_MM, DISC_MM = 0.0, 32.0, 7.0
RIB_DISTANCE_MM, RIB_SLOPE_MM = 29.0, 34.0
"""Between neighbouring ribs along z; how far a rib falls for each radian around the trunk."""


def paint_wall(canvas: Canvas, half_width_mm: float, half_depth_mm: float, fat_mm: float) -> np.ndarray:
    """Skin, fat and muscle; returns the distance to the fascia under the fat, which all else is measured from."""
    surface = canvas.column((0.0, 0.0), (half_width_mm, half_depth_mm)) + 2.0 * canvas.noise(90.0)
    # Fat is thickest in front and thin at the flanks.
    front = np.clip(-canvas.y / half_depth_mm, -0.5, 1.0)
    fascia = surface + np.maximum(4.0, fat_mm * (0.8 + 0.4 * front + 0.15 * canvas.noise(80.0)))
    canvas.paint("skin", surface, Tissue.SKIN)
    canvas.paint("subcutaneous fat", surface + 2.0, Tissue.FAT)
    canvas.paint("muscle", fascia, Tissue.MUSCLE)
    return fascia


def paint_spine(canvas: Canvas, y_mm: float, size: float = 1.0) -> None:
    """Vertebrae with discs and processes, the canal with its fluid and cord; `y_mm` is the bodies' centre."""
    width, depth = 24.0 * size, 17.0 * size
    phase = np.mod(canvas.z + canvas.rng.uniform(0, VERTEBRA_HEIGHT_MM), VERTEBRA_HEIGHT_MM)
    to_disc = np.abs(phase - VERTEBRA_HEIGHT_MM / 2) - (VERTEBRA_HEIGHT_MM - DISC_MM) / 2
    canal_y = y_mm + depth + 8.0 * size
    middle = np.abs(phase - VERTEBRA_HEIGHT_MM / 2)
    waist = 1.5 * np.clip(to_disc / 12, -1, 0)
    body = canvas.column((SPINE_X_MM, y_mm), (width, depth)) - waist - 1.0
    canvas.paint("discs", body, Tissue.DISC)
    arch = canvas.column((SPINE_X_MM, canal_y), (14.5 * size, 13.0 * size))
    spinous = inside_of(
        np.abs(canvas.x - SPINE_X_MM) - 3.0 * size,
        np.abs(canvas.y - canal_y - 17 * size) - 13 * size,
        middle - 9,
    )
    transverse = inside_of(
        np.abs(canvas.y - canal_y + 1.0) - 4.5 * size, np.abs(canvas.x - SPINE_X_MM) - 36 * size, middle - 5.5
    )
    for part in (inside_of(arch, middle - 13), spinous, transverse, inside_of(body, to_disc)):
        canvas.paint("vertebrae", part, Tissue.CORTICAL_BONE, shade=0.65)
        canvas.paint("vertebrae", part + 2.0, Tissue.CANCELLOUS_BONE)
    canal = canvas.column((SPINE_X_MM, canal_y), (9.5 * size, 8.5 * size))
    canvas.paint("spinal canal", canal, Tissue.CSF)
    canvas.paint("spinal canal", canvas.column((SPINE_X_MM, canal_y + 0.5), (5.5 * size, 4.0 * size)), Tissue.NERVE)


def paint_ribs(canvas: Canvas, fascia: np.ndarray, depth_mm: float, lowest: float) -> None:
    """Ribs at `depth_mm` under the fascia, falling from back to front; none where their height is below `lowest`.

    `lowest` is the share of the field's height at which the lowest rib leaves the spine.
    """
    around = np.abs(np.arctan2(canvas.x, canvas.y - 20.0))
    risen = canvas.z + RIB_SLOPE_MM * around - lowest * canvas.height_mm
    number = np.round(risen / RIB_DISTANCE_MM)
    along_z = (risen - number * RIB_DISTANCE_MM) * 0.85
    across = fascia + depth_mm
    rib = (np.sqrt((across / 4.0) ** 2 + (along_z / 7.0) ** 2) - 1) * 4.5
    ends = np.where(number < 0, 1e3, (around - np.minimum(1.5 + 0.35 * number, 2.45)) * 60)
    # Beside the spine they would lie behind the back's muscles, where none are.
    beside_spine = np.where(canvas.y > 0, 40.0 - np.abs(canvas.x), -1e3)
    rib = inside_of(rib, ends, beside_spine)
    canvas.paint("ribs", rib, Tissue.CORTICAL_BONE, shade=0.7)
    canvas.paint("ribs", rib + 2.2, Tissue.CANCELLOUS_BONE)


def branches(
    rng: np.random.Generator,
    start: Sequence[float] | np.ndarray,
    towards: Sequence[float] | np.ndarray,
    length_mm: float,
    radius_mm: float,
    generations: int,
) -> list[tuple[np.ndarray, list[float]]]:
    """A vessel and its branches: polylines (n, 3) in (x, y, z) with a radius for each point, thinner at each fork."""
    heading = np.asarray(towards, float) / np.linalg.norm(towards)
    points = [np.asarray(start, float)]
    for _ in range(3):
        heading = heading + rng.normal(0, 0.16, 3)
        heading /= np.linalg.norm(heading)
        points.append(points[-1] + heading * length_mm / 3)
    chains = [(np.stack(points), list(np.linspace(radius_mm, 0.8 * radius_mm, 4)))]
    if generations > 1:
        for _ in range(2 if rng.random() < 0.7 else 3):
            turned = heading + rng.normal(0, 0.6, 3)
            chains += branches(
                rng, points[-1], turned, length_mm * rng.uniform(0.65, 0.9), radius_mm * 0.72, generations - 1
            )
    return chains
