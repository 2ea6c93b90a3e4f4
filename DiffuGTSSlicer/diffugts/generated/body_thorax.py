"""A thorax with contrast medium: lungs with their vessels, heart, great vessels, airways, ribs, spine, liver dome."""

from __future__ import annotations

import numpy as np

from diffugts.generated.body_canvas import Canvas, either_of, inside_of
from diffugts.generated.body_tissues import Tissue
from diffugts.generated.body_trunk import branches, paint_ribs, paint_spine, paint_wall

FIELD_MM = (160.0, 248.0, 352.0)
"""Height, depth and width of the field."""

SPINE_Y_MM = 46.0


def paint_thorax(canvas: Canvas) -> None:
    """Paint from the outside inwards; what is painted later lies on top."""
    rng, top = canvas.rng, canvas.height_mm
    fascia = paint_wall(canvas, canvas.about(158, 0.03), canvas.about(108, 0.03), rng.uniform(8, 18))
    _paint_wall_planes(canvas, fascia)
    cavity = fascia + 23.0 + 8.0 * np.clip(-canvas.y / 90, 0, 1)
    heart = canvas.ellipsoid((22.0, -26.0, 0.26 * top), (58.0, 44.0, 0.36 * top), 35.0)
    rise = canvas.z / max(top, 1.0)
    middle = canvas.column((2.0, -10.0), (30 - 6 * rise, 90.0))
    spine = canvas.column((0.0, SPINE_Y_MM + 12), (33.0, 32.0))
    mediastinum = either_of(middle, heart - 4.0, spine) + 1.5 * canvas.noise(25.0)
    canvas.paint("mediastinal fat", inside_of(cavity - 1.0, mediastinum), Tissue.INNER_FAT)
    paint_spine(canvas, SPINE_Y_MM, 0.86)
    lungs = inside_of(cavity, -mediastinum)
    canvas.paint("lungs", lungs, Tissue.LUNG)
    _paint_lung_vessels(canvas, lungs)
    paint_ribs(canvas, fascia, 16.0, -0.6)
    _paint_sternum(canvas, fascia)
    _paint_great_vessels(canvas)
    _paint_heart(canvas, heart)
    _paint_airways(canvas)
    dome = canvas.ellipsoid((-78.0, -4.0, -0.22 * top), (72.0, 74.0, 0.42 * top))
    canvas.paint("liver", inside_of(dome + 1.5 * canvas.noise(30.0), cavity + 1.0), Tissue.LIVER)
    half_dome = canvas.ellipsoid((82.0, 6.0, -0.24 * top), (60.0, 66.0, 0.34 * top))
    canvas.paint("spleen", inside_of(half_dome, cavity + 1.0, 4.0 - heart), Tissue.SPLEEN)


def _paint_wall_planes(canvas: Canvas, fascia: np.ndarray) -> None:
    """Fat under the pectoral muscles and around the shoulder blades' muscles."""
    wave = 1.5 * canvas.noise(30.0)
    for depth, side in ((11.0, -canvas.y - 25), (9.0, canvas.y - 20)):
        plane = np.abs(fascia + depth + wave) - 1.1
        canvas.paint("subcutaneous fat", inside_of(plane, -side, 14 - np.abs(canvas.x)), Tissue.INNER_FAT)
    for side in (-1, 1):
        erector = canvas.column((side * 27.0, 86.0), (22.0, 11.0))
        canvas.paint("subcutaneous fat", inside_of(erector - 1.3, 1.0 - erector), Tissue.INNER_FAT)


def _paint_lung_vessels(canvas: Canvas, lungs: np.ndarray) -> None:
    """Trees from each hilum into all of the lung."""
    rng, top = canvas.rng, canvas.height_mm
    chains = []
    for side in (-1, 1):
        hilum = (side * 34.0, 2.0, 0.55 * top)
        for _ in range(11):
            towards = rng.standard_normal(3) * (0.7, 1.0, 1.0) + (side * 0.9, 0.0, 0.0)
            chains += branches(rng, hilum, towards, rng.uniform(26, 40), rng.uniform(3.0, 4.8), 5)
    canvas.paint("lung vessels", inside_of(canvas.tubes(*chains), lungs + 2.0), Tissue.VESSEL)


def _paint_sternum(canvas: Canvas, fascia: np.ndarray) -> None:
    sternum = inside_of(np.abs(fascia + 14.0) - 5.5, np.abs(canvas.x) - 17.0, canvas.y)
    canvas.paint("sternum", sternum, Tissue.CORTICAL_BONE, shade=0.5)
    canvas.paint("sternum", sternum + 2.0, Tissue.CANCELLOUS_BONE, shade=0.8)


def _paint_great_vessels(canvas: Canvas) -> None:
    top = canvas.height_mm
    canvas.paint("aorta", canvas.column((20.0, 26.0), (12.0, 12.0)), Tissue.VESSEL)
    rising = np.array([(2, -20, 0.38 * top), (-10, -34, 0.55 * top), (-12, -34, 0.75 * top), (-4, -26, 1.1 * top)])
    canvas.paint("aorta", canvas.tube(rising, [15, 15.5, 15.5, 14]), Tissue.VESSEL)
    canvas.paint("vena cava", inside_of(canvas.column((-27.0, -16.0), (8.5, 9.0)), 0.4 * top - canvas.z), Tissue.VESSEL)
    trunk = np.array([(18, -44, 0.40 * top), (22, -40, 0.52 * top), (20, -18, 0.60 * top)])
    canvas.paint("pulmonary arteries", canvas.tube(trunk, [13, 13.5, 13]), Tissue.VESSEL)
    for line in ([(20, -18, 0.60), (0, -8, 0.585), (-36, -2, 0.565)], [(20, -18, 0.60), (28, -4, 0.60), (38, 4, 0.57)]):
        vessel = canvas.tube([(x, y, z * top) for x, y, z in line], [12, 10, 7])
        canvas.paint("pulmonary arteries", vessel, Tissue.VESSEL)


def _paint_heart(canvas: Canvas, heart: np.ndarray) -> None:
    top = canvas.height_mm
    canvas.paint("heart", heart + canvas.noise(20.0), Tissue.MYOCARDIUM)
    chambers = (
        ((46.0, -20.0, 0.24 * top), (21.0, 25.0, 0.20 * top)),
        ((4.0, -48.0, 0.25 * top), (30.0, 15.0, 0.22 * top)),
        ((-20.0, -20.0, 0.30 * top), (19.0, 20.0, 0.17 * top)),
        ((10.0, 4.0, 0.38 * top), (30.0, 14.0, 0.12 * top)),
    )
    for centre, radii in chambers:
        chamber = canvas.ellipsoid(centre, radii, 35.0) + 1.2 * canvas.noise(14.0)
        canvas.paint("heart chambers", inside_of(chamber, heart + 3.0), Tissue.BLOOD)
    fat = inside_of(np.abs(canvas.y + 26 - 0.5 * canvas.x + 6) - 2.5 + canvas.noise(12.0), np.abs(heart + 2.0) - 2.5)
    canvas.paint("mediastinal fat", fat, Tissue.INNER_FAT)


def _paint_airways(canvas: Canvas) -> None:
    top = canvas.height_mm
    trachea = np.array([(0, 4, 1.1 * top), (0, 6, 0.72 * top)])
    lines = [(trachea, [9.5, 9.5])]
    for side in (-1, 1):
        bronchus = np.array([(0, 6, 0.72 * top), (side * 18, 8, 0.64 * top), (side * 38, 10, 0.56 * top)])
        lines.append((bronchus, [9.0, 7.0, 5.5]))
    airways = canvas.tubes(*lines)
    canvas.paint("airway wall", airways - 1.5, Tissue.MUSCLE)
    canvas.paint("airways", airways, Tissue.AIR)
    canvas.paint("oesophagus", canvas.column((3.0, 21.0), (8.0, 5.0)), Tissue.MUSCLE)
