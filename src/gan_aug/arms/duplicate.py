"""Copies of the draw's real images: the control of what adds images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gan_aug.arms.base import AddedFrom, Draw
from gan_aug.data.image_table import ClassImages

if TYPE_CHECKING:
    from gan_aug.settings.arms import SettledArm
    from gan_aug.settings.study import SettledStudy


class Duplicate(AddedFrom):
    """Copies of the arm's real images, each as often as any other, within one."""

    name = "duplicate"

    def translated(self, name: str, settings: SettledStudy) -> list[str]:
        """A copy is of the class of its original."""
        return [name]

    def take(self, arm: SettledArm, draw: Draw, name: str, count: int) -> ClassImages:
        """Return copies: whole passes over the images first, in one random order."""
        real = draw.real(arm).of_class(name)
        order = draw.random("duplicate", name).permutation(len(real))
        copies = real.take(np.resize(order, count))
        return ClassImages(copies.images, copies.hashes.tolist())
