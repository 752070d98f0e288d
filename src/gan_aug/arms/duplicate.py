"""Copies of the draw's real images: the control of what adds images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gan_aug.arms.base import AddedFrom, Draw, Taken

if TYPE_CHECKING:
    from gan_aug.settings.arms import SettledArm
    from gan_aug.settings.study import SettledStudy


class Duplicate(AddedFrom):
    """Copies of the arm's real images, each as often as any other, within one."""

    name = "duplicate"

    def translated(self, name: str, settings: SettledStudy) -> list[str]:
        """A copy is of the class of its original."""
        return [name]

    def take(self, arm: SettledArm, draw: Draw, name: str, count: int) -> Taken:
        """Return copies: whole passes over the images first, in one random order."""
        real = draw.real(arm)
        of_class = np.flatnonzero(real.labels == draw.splits.classes.label(name))
        order = draw.random("duplicate", name).permutation(len(of_class))
        rows = of_class[np.resize(order, count)]
        return Taken(np.asarray(real.images)[rows], rows)
