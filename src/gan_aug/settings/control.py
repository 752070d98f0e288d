"""The control that a GAN arm is measured against: as many copies of real images, used alike."""

from __future__ import annotations

from typing import Any

_ALIKE = ("count", "ratio", "weight", "label_smoothing", "augment")


def control_of(config: dict[str, Any]) -> str | None:
    """Return the arm that adds copies of real images just as the asked arm adds GAN images.

    Args:
        config: a study's resolved configuration.

    Returns:
        Its name; None where no arm differs from the asked one by its added images alone.
    """
    arms = config["arms"]
    asked = arms[config["study"]["question"]["arm"]]
    for name, arm in arms.items():
        if arm["added"]["source"] == "duplicate" and _use(arm) == _use(asked):
            return str(name)
    return None


def _use(arm: dict[str, Any]) -> list[Any]:
    """Return how an arm uses its images, apart from where the added ones come from."""
    own = [arm[key] for key in ("balanced", "augment", "stream", "pretrain")]
    return own + [arm["added"][key] for key in _ALIKE]
