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
from PIL import Image
from scipy import ndimage

from gan_aug.data.sources.anatomy import (
    Body,
    Field,
    Pose,
    blob,
    capsule,
    chord,
    grid,
    noise,
    opacity,
    ribs,
    spline,
    step,
    tube,
    vessel_tree,
)

MIN_SIZE = 16
WORK_SIZE = 128  # smaller pictures are rendered at least this large, then box-averaged down
# Confounders of every picture, diseased or not.
BENIGN_RATE = 0.4  # chance of small benign shadows
BENIGN_FILL = (0.08, 0.35)


def _streams(seed: tuple[int, ...]) -> list[np.random.Generator]:
    """Five independent generators; the length is hashed too, so (1,) and (1, 0) differ."""
    sequence = np.random.SeedSequence((len(seed), *seed))
    return [np.random.Generator(np.random.PCG64(child)) for child in sequence.spawn(5)]


def _attenuation(
    pattern: str,
    body: Body,
    pose: Pose,
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
    vessels = vessel_tree(rng, pose, work, prominence)
    lost = 0.06 * noise(rng, work, 5) + 0.04 * noise(rng, work, 26)
    if rng.random() < BENIGN_RATE:  # nipple, skin fold, summed vessels, an old scar
        for _ in range(int(rng.integers(1, 4))):
            cx = (1.0 if rng.random() < 0.5 else -1.0) * rng.uniform(0.2, 0.55)
            cy, (rx, ry) = rng.uniform(-0.4, 0.4), rng.uniform(0.03, 0.12, 2).tolist()
            lost += rng.uniform(*BENIGN_FILL) * blob(x, y, cx, cy, rx, ry)
    if pattern != "none":
        lost += opacity(pattern, ill, x, y, body, vessels)
    air = pose.air * np.maximum(lung, deep) * (1.0 - np.clip(lost, -0.3, 0.97))
    ray = tissue * (1.0 - 0.70 * air)

    # What overlies the lungs: vessels and hila, heart and abdomen, ribs.
    markings = 0.13 * vessels * np.maximum(lung, 0.3 * deep) * pose.air
    markings += 0.10 * blob(ax, y, 0.19, 0.0, 0.07, 0.13) * lung
    ray += body.vessels * prominence * markings
    ray += 0.13 * chord(heart) + 0.06 * step((y - dome) / 0.03) * step((1.1 - u) / 0.1)
    veil = step((y - body.apex) / 0.06) * (1.0 - 0.5 * step((y - dome - 0.03) / 0.05))
    ray += body.rib_bone * ribs(body, ax, y, u) * veil

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
    pattern: str, seed: tuple[int, ...], image_size: int, anatomy: tuple[int, ...]
) -> NDArray[np.uint8]:
    """Draw one frontal chest radiograph: grey (image_size, image_size) uint8, 0 black to 255 white.

    The same arguments always give the same bytes.  The illness has a random stream of its own: the
    same seed with another pattern is the same film of the same patient, ill in another way, so use
    different seeds for the classes of a data set.

    Args:
        pattern: of `anatomy.PATTERNS`; "none" is a normal chest, the others are pneumonias.
        seed: pose, breath, exposure, noise, opacities; not negative.
        image_size: side in pixels, at least `MIN_SIZE`. The picture is the same at every size.
        anatomy: of the patient's body, not negative.
    """
    pose_rng, scene_rng, ill_rng, film_rng, _ = _streams(seed)
    *_, body_rng = _streams(anatomy)
    factor = -(-WORK_SIZE // image_size)
    work = image_size * factor
    body, pose = Body(body_rng), Pose(pose_rng)
    ray = _attenuation(pattern, body, pose, scene_rng, ill_rng, work)
    grey = _extras(_film(ray, film_rng, work), film_rng, work)
    grey = grey.reshape(image_size, factor, image_size, factor).mean(axis=(1, 3))
    picture: NDArray[np.uint8] = np.clip(np.rint(grey * 255.0), 0, 255).astype(np.uint8)
    return picture
