"""Procedural frontal chest radiographs, the offline demo and test data set.

A picture is made the way a film is: add up the attenuation along each ray (soft tissue, less the
air in the lungs, plus bone and vessels), let scatter veil it, put it through a film response curve
and add noise.  Pneumonia takes air out of the lung, so an opacity cannot leave the lung.

Geometry is in body units: x to the image's right, y down, the unposed picture spans [-1, 1] both
ways.  Left in the image is the patient's right, as on a film.  Fields are (work, work) float32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from gan_aug.data.sources.fields import Field, blob, capsule, chord, grid, noise, spline, step, tube

__all__ = ["PATTERNS", "render"]

PATTERNS = ("none", "lobar", "patchy", "interstitial")

MIN_SIZE = 16
WORK_SIZE = 128  # smaller pictures are rendered at least this large, then box-averaged down
CANVAS = 288  # vessels are drawn on a canvas of this many pixels whatever the picture's size

# Difficulty.  Fraction of air lost at an opacity's core: LOW + (HIGH - LOW) * Beta(*SEVERITY_BETA).
# Measured at 64 px with a two-convolution network, 300 Adam steps, tested on 300 + 300 others:
# 85.2 % (sd 2.2, 4 seeds) from 400 + 300 pictures, 80.0 % (sd 1.7) from 100 + 100; found of the
# normals 86 %, lobar 74 %, patchy 87 %, interstitial 91 %.  Change a constant, measure again.
LOBAR_FILL = (0.35, 1.00)
PATCHY_FILL = (0.30, 1.00)
INTERSTITIAL_FILL = (0.10, 0.62)
SEVERITY_BETA = (1.3, 1.2)
# Confounders of every picture, diseased or not.
BENIGN_RATE = 0.4  # chance of small benign shadows
BENIGN_FILL = (0.08, 0.35)
POOR_AIR = 0.18  # most air a shallow breath or a soft exposure takes from both lungs


class _Body:
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


class _Pose:
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


def _streams(seed: int | tuple[int, ...], count: int) -> list[np.random.Generator]:
    """Independent generators of one seed; the length is hashed too, so (1,) and (1, 0) differ."""
    words = (seed,) if isinstance(seed, int | np.integer) else tuple(seed)
    if any(w < 0 for w in words):
        raise ValueError(f"seeds must not be negative, not {seed}")
    sequence = np.random.SeedSequence((len(words), *(int(w) for w in words)))
    return [np.random.Generator(np.random.PCG64(child)) for child in sequence.spawn(count)]


def _ribs(body: _Body, ax: Field, y: Field, u: Field) -> Field:
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


def _vessels(rng: np.random.Generator, pose: _Pose, work: int, prominence: float) -> Field:
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


def _opacity(
    pattern: str, rng: np.random.Generator, x: Field, y: Field, body: _Body, vessels: Field
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


def _attenuation(
    pattern: str,
    body: _Body,
    pose: _Pose,
    rng: np.random.Generator,
    ill: np.random.Generator,
    work: int,
) -> Field:
    """Attenuation along each ray: 0 beside the body, about 1 through the heart."""
    x, y = pose.to_body(*grid(work))
    x = x - body.scoliosis * np.sin(2.5 * y)
    ax, left = np.abs(x), (x > 0).astype(np.float32)  # the patient's left
    middle = x - pose.yaw

    # The rib cage's half-width; pixels above the apex get a token width.
    t = np.clip((y - body.apex + 0.05) / (body.base - body.apex + 0.05), 1e-3, 1.25)
    u = ax / (body.width * t**body.taper)

    # Soft tissue: a torso that narrows into the neck, shoulder girdle, arms, head.
    flare = body.width * 0.93 + body.wall - body.neck
    torso = body.neck + flare * step((y - body.shoulder - 0.02) / 0.17)
    flank = ax / (torso + 0.10 * step((y - 0.2) / 0.6))
    trunk = chord(flank * flank * flank) * (0.66 + 0.34 * step((y + 0.45) / 0.38))
    joint = (body.width + body.wall + 0.02, body.shoulder + 0.24)
    angle = body.arm_angle + pose.arms
    hand = (joint[0] + 1.3 * float(np.sin(angle)), joint[1] + 1.3 * float(np.cos(angle)))
    arm = capsule(ax, y, joint, hand)
    girdle = capsule(ax, y, (0.2, body.shoulder + 0.12), joint)
    head = chord((x / 0.36) ** 2 + ((y - body.shoulder + 0.46) / 0.40) ** 2)
    limbs = 0.18 * chord(arm / 0.175**2) ** 2 + 0.12 * chord(girdle / 0.16**2) ** 2
    tissue = np.sqrt(trunk**2 + limbs + 1.1 * head**2)

    # Lungs: inside the cage, below the apices, beside the mediastinum, above the diaphragm.
    dome = body.base - 0.20 * pose.breath + body.dome_gap * left
    dome = dome + 0.55 * np.maximum(ax - 0.55 * body.width, -0.3) ** 2 / body.width
    dome = dome + 0.55 * np.maximum(u - 0.68, 0.0) ** 2  # costophrenic angle
    inside = step((0.985 - u) / 0.03) * np.sqrt(np.maximum(1.0 - 0.75 * u**4, 0.05))
    top = body.apex + 1.3 * np.maximum(np.abs(ax - 0.27) - 0.04, 0.0) ** 2
    inside *= step((y - top - 0.06) / 0.09)
    knob = 0.035 * np.exp(-(((y + 0.22) / 0.09) ** 2)) * left  # arch of the aorta
    edge = 0.125 + body.thymus * np.exp(-(((y + 0.28) / 0.20) ** 2)) + knob
    hx, hy, hl, hw = body.heart
    hw *= 1.0 + 0.12 * pose.breath
    p, q = middle - hx, y - hy + 0.10 * pose.breath
    heart = ((0.82 * q + 0.57 * p) / hl) ** 2 + ((0.82 * p - 0.57 * q) / hw) ** 2
    # Distance to vessels or heart, whichever is nearer, rounded off where the two meet.
    near, far = np.abs(middle) - edge, hw * (np.sqrt(heart) - 1.0)
    mix = np.clip(0.5 + (near - far) / 0.20, 0.0, 1.0)
    gap = near + (far - near) * mix - 0.10 * mix * (1.0 - mix)
    lung = inside * step(gap / 0.025) * step((dome - y) / 0.022)
    # The lung behind heart and diaphragm still holds some air.
    deep = inside * (0.16 * step((dome + 0.08 - y) / 0.12) * step((ax - 0.10) / 0.05))

    prominence = rng.uniform(0.75, 1.35)
    vessels = _vessels(rng, pose, work, prominence)
    lost = 0.06 * noise(rng, work, 5) + 0.04 * noise(rng, work, 26)
    if rng.random() < BENIGN_RATE:  # nipple, skin fold, summed vessels, an old scar
        for _ in range(int(rng.integers(1, 4))):
            cx = (1.0 if rng.random() < 0.5 else -1.0) * rng.uniform(0.2, 0.55)
            cy, (rx, ry) = rng.uniform(-0.4, 0.4), rng.uniform(0.03, 0.12, 2).tolist()
            lost += rng.uniform(*BENIGN_FILL) * blob(x, y, cx, cy, rx, ry)
    if pattern != "none":
        lost += _opacity(pattern, ill, x, y, body, vessels)
    air = pose.air * np.maximum(lung, deep) * (1.0 - np.clip(lost, -0.3, 0.97))
    ray = tissue * (1.0 - 0.70 * air)

    # What overlies the lungs: vessels and hila, heart and abdomen, ribs.
    markings = 0.13 * vessels * np.maximum(lung, 0.3 * deep) * pose.air
    markings += 0.10 * blob(ax, y, 0.19, 0.0, 0.07, 0.13) * lung
    ray += body.vessels * prominence * markings
    ray += 0.13 * chord(heart) + 0.06 * step((y - dome) / 0.03) * step((1.1 - u) / 0.1)
    veil = step((y - body.apex) / 0.06) * (1.0 - 0.5 * step((y - dome - 0.03) / 0.05))
    ray += body.rib_bone * _ribs(body, ax, y, u) * veil

    # Spine with vertebral bodies, and the air-filled trachea in front of it.
    back2 = (ax / body.spine) ** 2
    discs = np.cos((2 * np.pi / 0.105) * y + 1.2 * back2)
    ray += np.maximum(1.0 - back2 * back2, 0.0) * (0.17 + 0.045 * discs)
    ray -= 0.10 * np.exp(-(((middle - 0.015) / 0.035) ** 2)) * step((-0.10 - y) / 0.06)

    # Clavicles, humeri, shoulder blades.
    cy, rise = body.clavicle
    reach = np.clip((ax - 0.07) / 0.62, 0.0, 1.0)
    line = cy - rise * reach - 0.045 * np.sin(6.0 * reach) * (1 - 0.5 * reach)
    ends = step((ax - 0.09) / 0.03) * step((joint[0] - 0.02 - ax) / 0.04)
    ray += 0.15 * tube(((y - line) / (0.026 + 0.008 * reach)) ** 2) * ends
    ray += 0.22 * tube(arm / 0.052**2)
    blade = capsule(ax, y, (joint[0] - 0.10, joint[1]), (0.50 * body.width, 0.0))
    ray += 0.05 * step((0.10 - np.sqrt(blade)) / 0.05) * step((y + 0.62) / 0.05)

    # Gas in stomach and bowel.
    below = step((y - dome - 0.04) / 0.05)
    if rng.random() < 0.6:
        cx, cy = rng.uniform(0.2, 0.42), body.base + rng.uniform(0.1, 0.22)
        rx, ry = rng.uniform(0.08, 0.17, 2).tolist()
        ray -= rng.uniform(0.12, 0.40) * blob(x, y, cx, cy, rx, ry) * below
    if rng.random() < 0.5:
        loops = np.clip(noise(rng, work, 9) - 0.5, 0.0, 1.5)
        ray -= 0.22 * loops * step((y - 0.75) / 0.15) * below
    ray += 0.02 * noise(rng, work, 12) * tissue
    total: Field = np.maximum(ray, 0.0) * step(tissue / 0.1 - 0.2)
    return total


def _film(ray: Field, rng: np.random.Generator, work: int) -> Field:
    """Film response, 0 black to 1 white, of the attenuation `ray`."""
    u = rng.uniform
    light = np.exp(-2.0 * ray)
    coarse = Image.fromarray(light).resize((11, 11), Image.Resampling.BOX)
    weights = spline(work, 8)  # smooths as it enlarges, as scatter does
    light += u(0.03, 0.16) * np.minimum(weights @ np.asarray(coarse) @ weights.T, 0.5)
    light = ndimage.gaussian_filter(light, work * u(0.0015, 0.005), mode="nearest", truncate=3.0)
    grain = rng.standard_normal(light.shape, dtype=np.float32)
    dose = u(0.004, 0.016) * (work / WORK_SIZE) ** 0.5  # a finer pixel catches fewer quanta
    light = light + dose * np.sqrt(light) * grain + 0.002
    density = np.maximum(-0.5 * np.log(np.maximum(light, 0.01)), 0.0)
    curve = u(0.5, 1.1)
    grey = (1.0 - np.exp(-curve * density)) / (1.0 - float(np.exp(-1.5 * curve)))
    grey = np.clip((grey - u(0.0, 0.05)) * u(1.0, 1.14), 0.0, 1.0)
    grey = grey ** float(np.exp(rng.normal(0.0, 0.10)))
    film: Field = np.clip(grey * u(0.88, 1.06) + u(-0.03, 0.05), 0.0, 1.0)
    return film


def _extras(grey: Field, rng: np.random.Generator, work: int) -> Field:
    """Side marker and monitoring lead, which lie on top of the patient."""
    x, y = grid(work)
    if rng.random() < 0.55:
        cx = rng.uniform(-0.93, -0.8) * (1.0 if rng.random() < 0.8 else -1.0)
        cy, h = rng.uniform(-0.9, 0.1), rng.uniform(0.035, 0.06)
        px, py = (x - cx) / h, (y - cy) / h
        ink = step((0.22 - np.abs(px + 0.6)) / 0.2) * step((1 - np.abs(py)) / 0.2)
        if cx < 0:  # "R": stem, bowl, leg
            bowl = np.abs(np.sqrt((px + 0.1) ** 2 + (py + 0.45) ** 2) - 0.5) - 0.2
            leg = np.abs(px - 0.75 * py + 0.1) - 0.25
            ink = np.maximum(ink, step(-bowl / 0.15))
            ink = np.maximum(ink, step(-leg / 0.2) * ((py > 0) & (py < 1)))
        else:  # "L": stem, foot
            foot = step((0.22 - np.abs(py - 0.8)) / 0.2) * step((0.6 - np.abs(px)) / 0.2)
            ink = np.maximum(ink, foot)
        grey = grey + (rng.uniform(0.75, 1.0) - grey) * ink
    if rng.random() < 0.15:
        a, b, c = rng.uniform(-1, 1, 3).tolist()
        path = 0.5 * a + 0.6 * b * y + 0.25 * np.sin(3.0 * y + 3.0 * c)
        grey = grey + 0.22 * np.exp(-(((x - path) / 0.010) ** 2)) * (1 - grey)
    return grey


def render(
    pattern: str,
    seed: int | tuple[int, ...],
    image_size: int,
    anatomy: int | tuple[int, ...] | None = None,
) -> NDArray[np.uint8]:
    """One frontal chest radiograph.

    The same arguments always give the same bytes.  The illness has a random stream of its own: the
    same seed with another pattern is the same film of the same patient, ill in another way, so use
    different seeds for the classes of a data set.

    Args:
        pattern: One of `PATTERNS`; "none" is a normal chest, the others are kinds of pneumonia.
        seed: Non-negative integer or integers: pose, breath, exposure, noise, opacities.
        image_size: Side in pixels, at least 16.  The picture is the same at every size.
        anatomy: Non-negative integer or integers for the patient's body; taken from `seed` when
            None.

    Returns:
        Grey picture (image_size, image_size) uint8, 0 black to 255 white.

    Raises:
        ValueError: On an unknown pattern, an image_size below 16 or a negative seed.
    """
    if pattern not in PATTERNS:
        raise ValueError(f"pattern must be one of {', '.join(PATTERNS)}, not {pattern!r}")
    if image_size < MIN_SIZE:
        raise ValueError(f"image_size must be at least {MIN_SIZE}, not {image_size}")
    pose_rng, scene_rng, ill_rng, film_rng, body_rng = _streams(seed, 5)
    if anatomy is not None:
        body_rng = _streams(anatomy, 5)[4]
    factor = -(-WORK_SIZE // image_size)
    work = image_size * factor
    body, pose = _Body(body_rng), _Pose(pose_rng)
    ray = _attenuation(pattern, body, pose, scene_rng, ill_rng, work)
    grey = _extras(_film(ray, film_rng, work), film_rng, work)
    grey = grey.reshape(image_size, factor, image_size, factor).mean(axis=(1, 3))
    picture: NDArray[np.uint8] = np.clip(np.rint(grey * 255.0), 0, 255).astype(np.uint8)
    return picture
