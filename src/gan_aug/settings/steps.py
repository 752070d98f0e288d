"""How many steps the classifier is trained for, in every arm of a study alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from gan_aug.run.errors import GanAugError

CHOOSE = "validation"
_WANTED = "a whole number from 1"


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


@dataclass(frozen=True)
class Steps:
    """A budget of optimizer steps.

    Attributes:
        most: what every fit takes.
        chosen: whether its weights are those at the validation, on the way, where its loss was
            lowest; otherwise those of the last step.
    """

    most: int
    chosen: bool


def steps_of(study: DictConfig | Mapping[str, Any]) -> Steps:
    """Return what `study.steps` says.

    Args:
        study: a number of steps, or `{max: NUMBER, choose: validation}`, is its `steps`.

    Raises:
        GanAugError: it says neither.
    """
    steps = study["steps"]
    if _whole(steps):
        return Steps(steps, False)
    is_mapping = isinstance(steps, DictConfig | Mapping) and set(steps) == {"max", "choose"}
    if is_mapping and _whole(steps["max"]) and steps["choose"] == CHOOSE:
        return Steps(steps["max"], True)
    raise GanAugError(
        f"study.steps={steps}: must be {_WANTED}, or {{max: NUMBER, choose: {CHOOSE}}}"
    )
