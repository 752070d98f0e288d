"""The control that a GAN arm is measured against: as many copies of real images, used alike."""

from __future__ import annotations

from dataclasses import replace

from gan_aug.settings.draw import ArmSettings, DrawSettings


def control_of(settings: DrawSettings) -> str | None:
    """Return the arm that adds copies of real images just as the asked arm adds GAN images.

    Returns:
        Its name; None where no arm differs from the asked one by its added images alone.
    """
    for name, arm in settings.arms.items():
        if arm.added.source == "duplicate" and _used_alike(arm, settings.asked):
            return name
    return None


def _used_alike(arm: ArmSettings, asked: ArmSettings) -> bool:
    """Tell whether two arms differ by no more than where their added images come from."""
    added = replace(arm.added, source=asked.added.source, filter=asked.added.filter)
    return replace(arm, title=asked.title, added=added) == asked
