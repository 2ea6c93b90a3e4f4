"""A left thigh: skin, fat, eleven muscles with their fat planes, femur, vessels and the sciatic nerve."""

from __future__ import annotations

import numpy as np

from diffugts.generated.body_canvas import Canvas, inside_of
from diffugts.generated.body_tissues import Tissue

FIELD_MM = (190.0, 190.0, 190.0)
"""Height, depth and width of the field."""

MUSCLES = {
    "rectus femoris": (8, -58, 6),
    "vastus intermedius": (6, -24, 6),
    "vastus lateralis": (44, -26, 9),
    "vastus medialis": (-32, -28, 8),
    "sartorius": (-46, -40, -6),
    "adductor longus": (-38, -4, 0),
    "adductor magnus": (-24, 26, 8),
    "gracilis": (-60, 8, -6),
    "biceps femoris": (34, 44, 6),
    "semitendinosus": (6, 62, 4),
    "semimembranosus": (-22, 56, 4),
}
"""Centre (x, y) in mm at mid-thigh and how far each muscle's territory outgrows its neighbours'."""


def paint_thigh(canvas: Canvas) -> None:
    """Paint a thigh that narrows towards the knee."""
    rng = canvas.rng
    down = 1 - canvas.z / max(canvas.height_mm, 1.0)
    taper = 1.0 - 0.16 * down
    width, depth = canvas.about(84), canvas.about(82)
    surface = canvas.column((0.0, 0.0), (width * taper, depth * taper)) + 1.5 * canvas.noise(50.0)
    fat_mm = rng.uniform(7, 16) * (1 + 0.3 * canvas.noise(70.0))
    fascia = surface + np.maximum(fat_mm, 3.0)
    canvas.paint("skin", surface, Tissue.SKIN)
    canvas.paint("subcutaneous fat", surface + 2.0, Tissue.FAT)
    canvas.paint("intermuscular fat", fascia, Tissue.INNER_FAT)
    _paint_muscles(canvas, fascia, taper)
    femur = (8 + 6 * (down - 0.5), -2 + 8 * (down - 0.5))
    shaft = canvas.column(femur, (canvas.about(14.5), canvas.about(14.0)))
    canvas.paint("femur", shaft, Tissue.CORTICAL_BONE)
    canvas.paint("marrow", shaft + 5.5, Tissue.FATTY_MARROW)
    artery = (-32 + 4 * down, -10 + 16 * down)
    bundle = canvas.column((artery[0] - 3, artery[1] + 4), (12.0, 11.0)) + canvas.noise(12.0)
    canvas.paint("intermuscular fat", bundle, Tissue.INNER_FAT)
    canvas.paint("vessels", canvas.column(artery, (4.4, 4.4)), Tissue.VESSEL)
    canvas.paint("vessels", canvas.column((artery[0] - 6, artery[1] + 7), (5.4, 4.8)), Tissue.VEIN)
    nerve = (12.0, 34 + 3 * down)
    canvas.paint("intermuscular fat", canvas.column(nerve, (9.5, 7.5)) + canvas.noise(10.0), Tissue.INNER_FAT)
    canvas.paint("nerve", canvas.column(nerve, (5.0, 3.5)), Tissue.NERVE)
    _paint_saphenous_veins(canvas, surface, fascia)


def _paint_muscles(canvas: Canvas, fascia: np.ndarray, taper: np.ndarray) -> None:
    """Each muscle is the territory of one centre; where two are nearly as near, fat keeps them apart."""
    rng = canvas.rng
    rise = canvas.z / max(canvas.height_mm, 1.0) - 0.5
    near, next_near = np.full(canvas.shape, 1e3, np.float32), np.full(canvas.shape, 1e3, np.float32)
    nearest = np.zeros(canvas.shape, np.uint8)
    wavy_x, wavy_y = canvas.x + 3.0 * canvas.noise(22.0), canvas.y + 3.0 * canvas.noise(22.0)
    for number, (x, y, reach) in enumerate(MUSCLES.values()):
        drift_x, drift_y = rng.uniform(-14, 14, 2)
        at_x, at_y = (x + rng.normal(0, 2)) * taper + drift_x * rise, (y + rng.normal(0, 2)) * taper + drift_y * rise
        distance = np.hypot(wavy_x - at_x, wavy_y - at_y) - reach
        first = distance < near
        next_near = np.where(first, near, np.minimum(next_near, distance))
        near = np.where(first, distance, near)
        nearest[first] = number
    half_plane = 1.1 + 0.8 * np.clip(canvas.noise(25.0), -1, 2)
    plane = half_plane - (next_near - near) / 1.7
    for number in range(len(MUSCLES)):
        own = np.where(nearest == number, -1e3, 1e3)
        canvas.paint("muscle", inside_of(fascia + 1.0, plane, own), Tissue.MUSCLE, shade=canvas.about(1.0, 0.05))
    streaks = np.clip(1 - np.abs(canvas.noise(8.0)) / 0.2, 0, 1) * (fascia < -3)
    fat = np.float32(Tissue.INNER_FAT.value.mean(canvas.modality, canvas.sequence))
    canvas.values += 0.14 * streaks * (fat - canvas.values)  # fat between the bundles gives muscle its feathered look


def _paint_saphenous_veins(canvas: Canvas, surface: np.ndarray, fascia: np.ndarray) -> None:
    within = inside_of(surface + 3.0, -fascia - 0.5)
    for _ in range(4):
        angle = canvas.rng.uniform(0, 2 * np.pi) + 0.5 * canvas.z / 100
        direction = np.stack([np.cos(angle), np.sin(angle)])
        across = np.abs(canvas.x * direction[1] - canvas.y * direction[0])
        ahead = canvas.x * direction[0] + canvas.y * direction[1] > 0
        depth = np.abs(surface + 6.0)
        vein = np.where(ahead, np.hypot(across, depth), 1e3) - canvas.rng.uniform(1.2, 2.2)
        canvas.paint("vessels", inside_of(vein, within), Tissue.VEIN)
