"""Draws the extension's icon (Resources/DiffuGTS.png) and the module's, which Slicer shows as small as 20 pixels.

Our own design, no third-party artwork: a slice through a body, divided by a slanted line. On its left the scan with a
glowing, outlined tumour, on its right the same slice as it might look healthy, the tumour's twin dissolving into the
noise of a diffusion. The module's icon is the same picture, nearer and with stronger lines.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
FINE = 6
"""How many times finer an icon is drawn before it is averaged."""

NIGHT, BODY, BONE = np.array([16, 24, 44]), np.array([122, 134, 152]), np.array([226, 230, 236])
ORGAN, EMBER, GLOW, OUTLINE = (np.array(c) for c in ([158, 168, 182], [236, 64, 44], [255, 196, 72], [64, 224, 208]))


def ellipse(x: np.ndarray, y: np.ndarray, centre: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
    """Distance from the centre, 1 on the ellipse's edge."""
    return np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1])


def paint(picture: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> None:
    """Lay `colour` over the picture where `cover` (0..1) says."""
    picture += (colour - picture) * np.clip(cover, 0, 1)[..., None]


def icon(size: int, nearer: float = 1.0, bolder: float = 1.0, grains: int = 32) -> Image.Image:
    """The icon with `size` pixels a side, the picture enlarged and its lines thickened by these factors.

    `grains` is how many grains of noise lie along a side; it divides the size.
    """
    n = size * FINE
    v, u = (np.mgrid[0:n, 0:n] + 0.5) / n * 2 - 1
    x, y = u / nearer, v / nearer
    grain = n // grains
    noise, shade = (
        v.repeat(grain, 0).repeat(grain, 1) for v in np.random.default_rng(11).random((2, n // grain, n // grain))
    )
    edge = 1.5 / size / nearer
    picture = np.ones((n, n, 3)) * NIGHT * (1.15 - 0.35 * np.hypot(u, v))[..., None]

    body = ellipse(x, y, (0, 0.02), (0.90, 0.76))
    paint(picture, BONE, (1 - body) / edge * 0.5)
    paint(picture, BODY, (0.93 - body) / edge)
    for side in (-1, 1):
        lobe = ellipse(x, y, (side * 0.43, -0.02), (0.36, 0.52))
        paint(picture, ORGAN, (1 - lobe) / edge * 0.6)
    paint(picture, BONE, (1 - ellipse(x, y, (0, 0.47), (0.14, 0.13))) / edge)

    slant = x + 0.28 * y
    angle = np.arctan2(y + 0.06, x + 0.42)
    tumour = ellipse(x, y, (-0.42, -0.06), (0.22, 0.24)) * (1 + 0.06 * np.sin(2 * angle + 1) + 0.05 * np.sin(3 * angle))
    paint(picture, EMBER, np.exp(-(np.maximum(tumour - 0.55, 0) ** 2) / 0.16) * (slant < 0))
    paint(picture, GLOW, np.exp(-((tumour / 0.55) ** 2)))
    paint(picture, OUTLINE, (0.055 * bolder - np.abs(tumour - 1.28)) / 0.03)

    twin = ellipse(x, y, (0.42, -0.06), (0.30, 0.33))
    kept = noise < 1.0 - 0.9 * twin**2
    paint(picture, OUTLINE, kept * np.clip(1.15 - twin, 0, 1) * (0.35 + 0.5 * shade))

    paint(picture, np.array([255, 255, 255]), (0.016 * bolder - np.abs(slant)) / 0.008 * (body < 1.06))

    round_ = np.hypot(np.maximum(np.abs(u) - 0.72, 0), np.maximum(np.abs(v) - 0.72, 0))
    alpha = np.clip((0.27 - round_) / edge, 0, 1) * 255
    rgba = np.dstack([np.clip(picture, 0, 255), alpha]).reshape(size, FINE, size, FINE, 4).mean((1, 3))
    return Image.fromarray(rgba.round().astype(np.uint8), "RGBA")


if __name__ == "__main__":
    module_icon = ROOT / "DiffuGTSSlicer" / "Resources" / "Icons" / "DiffuGTSSlicer.png"
    module_icon.parent.mkdir(parents=True, exist_ok=True)
    icon(128).save(ROOT / "Resources" / "DiffuGTS.png", optimize=True)
    icon(64, nearer=1.06, bolder=2.0, grains=16).save(module_icon, optimize=True)
