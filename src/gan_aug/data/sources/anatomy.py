"""The patient of a made-up radiograph: body, pose, ribs, vessels, pneumonia and their shapes.

Lengths are in body units, see `gan_aug.data.sources.radiograph`; fields are (work, work) float32.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Field = NDArray[np.floating[Any]]
PATTERNS = ("none", "lobar", "patchy", "interstitial")

CANVAS = 288  # vessels are drawn on a canvas of this many pixels whatever the picture's size

# Difficulty.  Fraction of air lost at an opacity's core: LOW + (HIGH - LOW) * Beta(*SEVERITY_BETA).
# Measured at 64 px with a two-convolution network, 300 Adam steps, tested on 300 + 300 others:
# 85.2 % (sd 2.2, 4 seeds) from 400 + 300 pictures, 80.0 % (sd 1.7) from 100 + 100; found of the
# normals 86 %, lobar 74 %, patchy 87 %, interstitial 91 %.  Change a constant, measure again.
LOBAR_FILL = (0.35, 1.00)
PATCHY_FILL = (0.30, 1.00)
INTERSTITIAL_FILL = (0.10, 0.62)
SEVERITY_BETA = (1.3, 1.2)
POOR_AIR = 0.18  # most air a shallow breath or a soft exposure takes from both lungs


class Body:
    """One patient: everything that stays the same between two of their films (body units)."""

    def __init__(self, rng: np.random.Generator) -> None:
        u = rng.uniform
        self.width = 0.75 * u(0.88, 1.06)  # half-width of the rib cage at its base
        big_heart = u(0.85, 1.2)
        self.apex = u(-0.68, -0.56)  # y of the lung tops
        self.base = u(0.42, 0.58)  # y of the right diaphragm's dome at full breath
        self.taper = u(0.19, 0.33)  # exponent of the rib cage's outline, small = barrel
        self.wall = u(0.03, 0.12)  # thickness of the chest wall
        self.shoulder = u(-0.88, -0.74)  # y where the neck opens into the shoulders
        self.neck = u(0.20, 0.28)  # half-width of the neck
        # Arms at the sides or raised, radians from straight down.
        self.arm_angle = u(0.05, 0.55) if rng.random() < 0.6 else u(2.2, 2.75)
        self.ribs = int(rng.integers(9, 11))
        self.rib_drop = u(0.18, 0.30)  # fall of a rib from the spine to the side
        self.rib_bone = u(0.12, 0.22)  # attenuation of a rib
        # Centre x and y, half-length, half-width.
        self.heart = (u(0.10, 0.15), u(0.17, 0.25), 0.42 * big_heart, 0.27 * big_heart)
        # Widening of the upper mediastinum, large in infants.
        self.thymus = u(0.0, 0.06) if rng.random() < 0.6 else u(0.06, 0.14)
        self.spine = u(0.075, 0.10)  # half-width
        self.scoliosis = u(-0.04, 0.04)  # sideways bend of the spine
        self.clavicle = (u(-0.56, -0.46), u(0.08, 0.22))  # y at the sternum, rise to the shoulder
        self.vessels = u(0.6, 1.4)  # strength of the vascular markings
        self.dome_gap = u(0.01, 0.08)  # how much lower the left diaphragm stands


class Pose:
    """One exposure of a patient: how they lay and breathed."""

    def __init__(self, rng: np.random.Generator) -> None:
        scale = rng.uniform(1.0, 1.16)
        self.breath = float(rng.beta(1.2, 2.0))  # 0 full inspiration ... 1 shallow
        self.shift = (rng.normal(0, 0.025), rng.normal(0, 0.035))
        angle = rng.normal(0, 0.03)
        self.cos, self.sin = float(np.cos(angle)), float(np.sin(angle))
        self.scale = (scale * rng.uniform(0.97, 1.03), scale * rng.uniform(0.97, 1.03))
        self.yaw = rng.normal(0, 0.02)  # sideways displacement of the midline by a turned patient
        # Air in the lungs relative to a clear, full breath.
        self.air = 1.0 - POOR_AIR * (0.6 * self.breath + 0.4 * rng.random())
        self.arms = rng.normal(0, 0.1)  # change of the arms' angle

    def to_image(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Image coordinates of body points."""
        x, y = x * self.scale[0], y * self.scale[1]
        c, s = self.cos, self.sin
        return c * x - s * y + self.shift[0], s * x + c * y + self.shift[1]

    def to_body(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Body coordinates of image points."""
        x, y = x - self.shift[0], y - self.shift[1]
        c, s = self.cos, self.sin
        return (c * x + s * y) / self.scale[0], (c * y - s * x) / self.scale[1]


def ribs(body: Body, ax: Field, y: Field, u: Field) -> Field:
    """Bone of the ribs seen through the chest, u = |x| / (half-width of the rib cage).

    A rib is a tilted ring: the back half falls from the spine to the side, the front half falls
    on from there, and where the ring turns at the side the ray runs along the bone.
    """
    c = chord(u * u)
    spacing = (body.base + 0.14 - body.apex) / body.ribs
    along = np.minimum(0.62 / np.sqrt(c * c + 0.05), 2.2)
    total = np.zeros_like(u)
    for front, weight, half in ((False, 1.0, 0.24), (True, 0.55, 0.30)):
        fall = body.rib_drop * (1.0 + c * 1.25 if front else 1.0 - c)
        # The back of a rib first climbs a little as it leaves the spine.
        phase = (y - body.apex - 0.02 - fall + (0.0 if front else 0.10) * ax * (1 - u)) / spacing
        shown = (phase > 0) & (phase < body.ribs + 1)
        # In front the bone turns into cartilage, which does not show.
        fade = step((u - 0.62) / 0.25) if front else step((ax - 0.1) / 0.05)
        total += weight * tube(((phase - np.floor(phase) - 0.5) / half) ** 2) * shown * fade
    return total * along * step((1.03 - u) / 0.03)


def vessel_tree(rng: np.random.Generator, pose: Pose, work: int, prominence: float) -> Field:
    """Branching bronchovascular markings, about 0..1, fanning out of both hila."""
    n = 12
    side = np.repeat((-1.0, 1.0), n // 2)
    x: Field = side * rng.uniform(0.13, 0.19, n)
    y: Field = np.tile(np.linspace(-0.12, 0.16, n // 2), 2) + rng.normal(0, 0.02, n)
    angle = np.tile(np.linspace(-1.25, 1.15, n // 2), 2) + rng.normal(0, 0.15, n)
    canvas = Image.new("L", (CANVAS, CANVAS))
    pen = ImageDraw.Draw(canvas)
    strokes = []
    length, ink, wide = 0.16, 0.8, 3.8
    for _ in range(4):
        points = [(x, y)]
        for _ in range(2):
            x, y = x + side * np.cos(angle) * length / 2, y + np.sin(angle) * length / 2
            angle = angle + rng.normal(0, 0.12, len(x))
            points.append((x, y))
        strokes.append((points, int(255 * ink), max(1, round(wide * prominence))))
        fork = rng.uniform(0.2, 0.5, len(x))
        x, y, side = np.tile(x, 2), np.tile(y, 2), np.tile(side, 2)
        angle = np.concatenate([angle + fork, angle - 0.8 * fork])
        length, ink, wide = length * 0.78, ink * 0.72, wide * 0.68
    for points, tone, pixels in reversed(strokes):  # the thick ones on top
        path = np.stack([c for p in points for c in pose.to_image(*p)], axis=1)
        for stroke in ((path + 1.0) * (CANVAS / 2)).tolist():
            pen.line(stroke, tone, pixels)
    small = canvas.resize((work, work), Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.float32) / np.float32(255.0)


def opacity(
    pattern: str, rng: np.random.Generator, x: Field, y: Field, body: Body, vessels: Field
) -> Field:
    """Fraction 0..1 of the lung's air that pneumonia has replaced."""
    work = len(x)
    severity = float(rng.beta(*SEVERITY_BETA))
    rough = noise(rng, work, 7)

    def spot(side: float) -> tuple[float, float]:
        """A place in the lung of one side, further out the lower it lies."""
        depth = rng.uniform(0.18, 0.92)
        reach = body.width * (0.40 + 0.35 * depth)
        inner = 0.22 if side < 0 or depth < 0.5 else 0.34  # the heart hides what lies further in
        across = rng.uniform(inner, max(reach, inner + 0.08))
        return side * across, body.apex + depth * (body.base - body.apex)

    fill: Field
    if pattern == "lobar":
        low, high = LOBAR_FILL
        cx, cy = spot(-1.0 if rng.random() < 0.58 else 1.0)
        rx, ry = rng.uniform(0.22, 0.44), rng.uniform(0.20, 0.42)
        r = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2) + 0.16 * rough
        fill = step((1.0 - r) / 0.75)
        if rng.random() < 0.4:  # a fissure bounds the lobe on one side
            tilt, way = rng.uniform(-0.3, 0.3), 1.0 if rng.random() < 0.5 else -1.0
            fill *= step(way * (y - cy - tilt * (x - cx)) / 0.05 + 0.8)
    elif pattern == "patchy":
        low, high = PATCHY_FILL
        fill = np.zeros_like(x)
        for k in range(int(rng.integers(5, 12))):
            cx, cy = spot(-1.0 if k % 2 else 1.0)
            rx, ry = rng.uniform(0.07, 0.17, 2).tolist()
            fill = np.maximum(fill, rng.uniform(0.5, 1.0) * blob(x, y, cx, cy, rx, ry))
        fill *= np.clip(1.0 + 0.35 * rough, 0.2, 1.6)
    else:
        low, high = INTERSTITIAL_FILL
        mesh = np.exp(-2.0 * np.abs(noise(rng, work, 22)))  # thin walls where the field is nil
        haze = 0.35 + 0.40 * blob(np.abs(x), y, 0.22, 0.05, 0.30, 0.45) + 0.12 * rough
        fill = np.maximum(haze * (1.0 + 0.55 * mesh), 0) + 0.3 * vessels
    fill *= low + (high - low) * severity
    return np.clip(fill, 0.0, 0.95, out=fill)


@lru_cache(maxsize=16)
def grid(work: int) -> tuple[Field, Field]:
    """Pixel centres x and y, in [-1, 1]."""
    axis = ((np.arange(work) + 0.5) * (2.0 / work) - 1.0).astype(np.float32)
    x, y = (np.ascontiguousarray(g) for g in np.meshgrid(axis, axis))
    x.flags.writeable = y.flags.writeable = False
    return x, y


@lru_cache(maxsize=64)
def spline(work: int, knots: int) -> NDArray[np.float32]:
    """Cubic B-spline weights (work, knots + 3) over [-1, 1]."""
    t = (np.arange(work) + 0.5) * (knots / work)
    d = np.abs(t[:, None] - (np.arange(knots + 3) - 1.0)[None, :])
    near, far = 2 / 3 - d**2 + d**3 / 2, np.clip(2 - d, 0, None) ** 3 / 6
    weights = np.where(d < 1, near, far).astype(np.float32)
    weights.flags.writeable = False
    return weights


def noise(rng: np.random.Generator, work: int, knots: int) -> Field:
    """Smooth random field, sd about 1, with `knots` cells across the picture."""
    cells = rng.standard_normal((knots + 3, knots + 3), dtype=np.float32)
    weights = spline(work, knots)
    return 2.0 * (weights @ cells @ weights.T)


def step(x: Field) -> Field:
    """Smooth step from 0 (x <= -1) to 1 (x >= 1); in place, as much of the time goes here."""
    t: Field = 0.5 * x
    t += 0.5
    np.clip(t, 0.0, 1.0, out=t)
    s: Field = -2.0 * t
    s += 3.0
    s *= t
    s *= t
    return s


def chord(r2: Field) -> Field:
    """Path length through a unit ball at squared radius r2, relative to its centre."""
    length: Field = np.sqrt(np.maximum(1.0 - r2, 0.0))
    return length


def blob(x: Field, y: Field, cx: float, cy: float, rx: float, ry: float) -> Field:
    """Gaussian bump of height 1."""
    bump: Field = np.exp(-(((x - cx) / rx) ** 2) - ((y - cy) / ry) ** 2)
    return bump


def tube(d2: Field) -> Field:
    """Bone with a denser rim, d2 the squared distance from its axis over its squared radius."""
    bone: Field = np.maximum(1.0 - d2 * d2, 0.0) * (0.65 + 0.6 * d2)
    return bone


def capsule(x: Field, y: Field, a: tuple[float, float], b: tuple[float, float]) -> Field:
    """Squared distance to the segment a-b."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    t = np.clip(((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
    d2: Field = (x - a[0] - t * dx) ** 2 + (y - a[1] - t * dy) ** 2
    return d2
