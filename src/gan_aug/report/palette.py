"""One colour for an arm in all figures of a report."""

from __future__ import annotations

import re
from collections.abc import Iterable

COLOURS = (
    "#4c5b6b", "#1b7f79", "#d0812b", "#8a63a8", "#c0504d", "#2f6db3", "#3b8a3e", "#a0522d",
    "#d1668f", "#4fa8c5", "#7d7a1f", "#5546a0", "#e3a93c", "#93355a", "#6fae5c", "#1f4e6b",
)  # fmt: skip
SWEPT_ARM = re.compile(r"(.+)_(\d+)$")
"""gan_50, gan_100 ... are one arm with several counts."""


def family_of(arm: str) -> str:
    """Return what an arm is one of: `gan` for gan_50, itself where it has no count."""
    match = SWEPT_ARM.match(arm)
    return match[1] if match else arm


def palette(arms: Iterable[str]) -> dict[str, str]:
    """Return a colour for every arm, and for every family of arms that differ in a count.

    Args:
        arms: all of a study, in their order; `real` has the first colour wherever it stands.
    """
    arms = list(arms)
    families = dict.fromkeys(["real", *map(family_of, arms)])
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(families)}
    return colours | {arm: colours[family_of(arm)] for arm in arms}
