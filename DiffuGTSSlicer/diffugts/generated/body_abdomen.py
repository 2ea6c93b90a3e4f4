"""An abdomen in the portal venous phase: liver, spleen, kidneys, pancreas, stomach, bowel, great vessels, spine."""

from __future__ import annotations

import numpy as np

from diffugts.generated.body_canvas import Canvas, either_of, inside_of
from diffugts.generated.body_tissues import Tissue
from diffugts.generated.body_trunk import branches, paint_ribs, paint_spine, paint_wall

FIELD_MM = (176.0, 252.0, 352.0)
"""Height, depth and width of the field."""

SPINE_Y_MM = 40.0


def paint_abdomen(canvas: Canvas) -> None:
    """Paint from the outside inwards; what is painted later lies on top."""
    rng, top = canvas.rng, canvas.height_mm
    fascia = paint_wall(canvas, canvas.about(157, 0.04), canvas.about(108, 0.04), rng.uniform(10, 24))
    cavity = inside_of(fascia + 12.0, canvas.y - 66.0 + 0.0012 * canvas.x**2) + canvas.noise(40.0)
    canvas.paint("visceral fat", cavity, Tissue.INNER_FAT)
    _paint_back_muscles(canvas)
    paint_spine(canvas, SPINE_Y_MM)
    paint_ribs(canvas, fascia, 6.0, 0.55)
    _paint_great_vessels(canvas, cavity)
    _paint_bowel(canvas, cavity + 2.0)
    _paint_kidneys(canvas)
    pancreas_line = [(-34, 4, 0.46), (-24, -8, 0.52), (4, -20, 0.57), (40, -2, 0.62), (78, 14, 0.66)]
    pancreas = canvas.tube([(x, y, z * top) for x, y, z in pancreas_line], [15, 13, 9, 9.5, 8])
    canvas.paint("pancreas", pancreas + 1.8 * canvas.noise(9.0), Tissue.PANCREAS)
    _paint_stomach(canvas, cavity)
    spleen = canvas.ellipsoid((canvas.about(104), 30.0, 0.70 * top), (canvas.about(25), 44.0, 46.0), -28.0)
    canvas.paint("spleen", inside_of(spleen + 1.5 * canvas.noise(25.0), cavity + 1.0), Tissue.SPLEEN)
    _paint_liver(canvas, cavity)


def _paint_back_muscles(canvas: Canvas) -> None:
    rise = canvas.z / canvas.height_mm
    for side in (-1, 1):
        psoas = canvas.column((side * (32 + 12 * (1 - rise)), SPINE_Y_MM + 2.0), (10 + 10 * (1 - rise), 24 - 8 * rise))
        quadratus = canvas.column((side * 62.0, 62.0), (20.0, 12.0))
        erector = canvas.column((side * 33.0, 78.0), (27.0, 17.0))
        for muscle in (psoas, quadratus, erector):
            canvas.paint("visceral fat", inside_of(muscle - 1.4, 1.2 - muscle), Tissue.INNER_FAT)
            canvas.paint("muscle", muscle + canvas.noise(20.0), Tissue.MUSCLE, shade=canvas.about(1.0, 0.05))


def _paint_great_vessels(canvas: Canvas, cavity: np.ndarray) -> None:
    rng, top = canvas.rng, canvas.height_mm
    aorta_x, aorta_y = canvas.about(12.0, 0.2), SPINE_Y_MM - 28.0
    canvas.paint("aorta", canvas.column((aorta_x, aorta_y), (canvas.about(10.0, 0.1),) * 2), Tissue.VESSEL)
    canvas.paint("vena cava", canvas.column((-20.0, SPINE_Y_MM - 24.0), (12.5, 9.5)), Tissue.VEIN)
    for x, start_z in ((aorta_x, 0.52), (aorta_x - 8, 0.50)):
        chains = branches(rng, (x, aorta_y - 12, start_z * top), (0.05, -0.8, -1.0), 52.0, 4.6, 4)
        canvas.paint("mesenteric vessels", inside_of(canvas.tubes(*chains), cavity + 3.0), Tissue.VEIN)


def _paint_bowel(canvas: Canvas, room: np.ndarray) -> None:
    """Loops of small bowel in the lower middle, and the colon as a frame around them."""
    rng, top = canvas.rng, canvas.height_mm
    for _ in range(22):
        at = np.array([rng.uniform(-75, 75), rng.uniform(-76, 4), rng.uniform(-0.05, 0.40) * top])
        points, heading = [at], rng.standard_normal(3) * (1.0, 0.7, 0.6)
        for _ in range(6):
            heading = heading / np.linalg.norm(heading) + rng.normal(0, 0.55, 3)
            at = np.clip(at + 17 * heading / np.linalg.norm(heading), (-82, -80, -20), (82, 12, 0.46 * top))
            points.append(at)
        loop = canvas.tube(np.stack(points), list(rng.uniform(9, 13.5, 7))) + canvas.noise(12.0)
        _paint_loop(canvas, "small bowel", inside_of(loop, room), wall_mm=3.0, gas=rng.random() < 0.12)
    right = [(-108, 12, -0.1), (-110, 10, 0.2), (-104, 0, 0.38)]
    across = [(-96, -38, 0.36), (-50, -66, 0.27), (0, -72, 0.24), (50, -66, 0.30), (100, -30, 0.46)]
    left = [(112, 12, 0.44), (114, 24, 0.2), (110, 26, -0.1)]
    for line, radius in ((right, 23.0), (across, 17.0), (left, 15.0)):
        places = [(x + rng.normal(0, 4), y, z * top) for x, y, z in line]
        colon = canvas.tube(places, [radius] * len(places)) + 2.5 * canvas.noise(15.0)
        _paint_loop(canvas, "colon", inside_of(colon, room), wall_mm=2.6, gas=True)


def _paint_loop(canvas: Canvas, name: str, outside: np.ndarray, wall_mm: float, gas: bool) -> None:
    """Wall and content; gas rises to the front of each loop, the patient lies on the back."""
    canvas.paint(f"{name} wall", outside, Tissue.BOWEL_WALL)
    content = outside + wall_mm
    canvas.paint(f"{name} content", content, Tissue.STOOL if name == "colon" else Tissue.FLUID)
    if gas:
        ahead = canvas.y - _local_middle(canvas, content) + 6.0 * canvas.noise(30.0)
        canvas.paint("bowel gas", inside_of(content + 0.5, ahead), Tissue.AIR)


def _local_middle(canvas: Canvas, distance: np.ndarray) -> np.ndarray:
    """For each column of voxels from front to back: mean y of what lies inside, 0 where nothing does."""
    inside = distance < 0
    count = inside.sum(1, keepdims=True)
    return (canvas.y * inside).sum(1, keepdims=True) / np.maximum(count, 1)


def _paint_kidneys(canvas: Canvas) -> None:
    top = canvas.height_mm
    for side, z in ((-1, 0.36), (1, 0.42)):
        x, y = side * canvas.about(62), 36.0
        kidney = canvas.ellipsoid((x, y, z * top), (canvas.about(28), canvas.about(25), canvas.about(52)), side * 25.0)
        sinus = canvas.ellipsoid((x - side * 14, y - 7, z * top), (19.0, 9.0, 30.0), side * 25.0)
        kidney = kidney + 0.8 * canvas.noise(15.0)
        canvas.paint("kidneys", kidney, Tissue.KIDNEY_CORTEX)
        pyramids = inside_of(kidney + 7.0, 3.0 * canvas.noise(11.0) - 1.0)
        canvas.paint("kidneys", pyramids, Tissue.KIDNEY_MEDULLA)
        canvas.paint("visceral fat", sinus + 2.0 * canvas.noise(9.0), Tissue.INNER_FAT)
        vein = canvas.tube([(x - side * 10, y - 7, z * top), (side * 16 - 6, 18.0, (z + 0.03) * top)], [4.0, 5.0])
        canvas.paint("renal vessels", vein, Tissue.VEIN)


def _paint_stomach(canvas: Canvas, cavity: np.ndarray) -> None:
    top = canvas.height_mm
    fundus = canvas.ellipsoid((66.0, -14.0, 0.80 * top), (40.0, 42.0, 46.0))
    antrum = canvas.tube([(58, -38, 0.66 * top), (30, -52, 0.52 * top), (-6, -42, 0.50 * top)], [28, 22, 15])
    stomach = inside_of(either_of(fundus, antrum) + 2.0 * canvas.noise(25.0), cavity + 2.0)
    canvas.paint("stomach wall", stomach, Tissue.BOWEL_WALL)
    content = stomach + 4.0 + 0.8 * canvas.noise(8.0)
    canvas.paint("stomach content", content, Tissue.FLUID)
    level = canvas.rng.uniform(-48, -30)
    canvas.paint("bowel gas", inside_of(content, canvas.y - level), Tissue.AIR)


def _paint_liver(canvas: Canvas, cavity: np.ndarray) -> None:
    rng, top = canvas.rng, canvas.height_mm
    size = canvas.about(1.0, 0.07)
    right = canvas.ellipsoid((-74.0, -2.0, 0.68 * top), (70 * size, 72 * size, 70 * size))
    left = canvas.ellipsoid((-6.0, -46.0, 0.82 * top), (66 * size, 32 * size, 38 * size))
    fissure = canvas.ellipsoid((-22.0, 2.0, 0.52 * top), (24.0, 26.0, 30.0))
    liver = inside_of(either_of(right, left), -fissure, cavity + 1.5) + 1.5 * canvas.noise(30.0)
    gallbladder = canvas.ellipsoid((-48.0, -34.0, 0.46 * top), (15.0, 20.0, 26.0), 20.0)
    canvas.paint("gallbladder", gallbladder + 0.7, Tissue.BILE)
    canvas.paint("liver", inside_of(liver, 1.0 - gallbladder), Tissue.LIVER)
    hilum = (-26.0, -6.0, 0.60 * top)
    chains = [(np.array([(-14.0, -4.0, 0.50 * top), hilum]), [6.5, 6.0])]
    for towards in ((-1.0, 0.2, 0.1), (-0.6, 0.5, 0.7), (0.3, -1.0, 0.7), (-0.8, -0.5, 0.3)):
        chains += branches(rng, hilum, towards, 34.0, 4.6, 4)
    caval = (-22.0, 16.0, 0.93 * top)
    for towards in ((-1.0, 0.3, -0.5), (-0.7, -0.8, -0.4), (0.2, -1.0, -0.2)):
        chains += branches(rng, caval, towards, 40.0, 5.0, 3)
    canvas.paint("liver vessels", inside_of(canvas.tubes(*chains), liver + 2.0), Tissue.VEIN, shade=1.08)
