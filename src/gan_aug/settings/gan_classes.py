"""Which classes a GAN is fitted on, which it makes, and what it makes them from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gan_aug.run.errors import GanAugError

FITTED_ON = ("one", "two", "all")
SOURCES = (None, "other", "same")


def classes_made(
    model: Mapping[str, Any], train_class: str | None, classes: Sequence[str]
) -> dict[str, list[str]]:
    """Return the classes that a GAN is fitted on, each with the classes of its source images.

    It makes images of just those classes.

    Args:
        model: the settings `fitted_on`, `sources` and, where it is fitted on two classes, `pair`.
        train_class: the class of a GAN that is fitted on one.
        classes: of the data set.

    Returns:
        Class name to the classes that its images are translated from; none: made from nothing.

    Raises:
        GanAugError: a setting that does not fit the GAN.
    """
    name, fitted_on = model["name"], model["fitted_on"]
    if fitted_on == "one":
        if train_class is None:
            raise GanAugError(
                f"data.train_class=null: model={name} has no labels and is fitted on one class; "
                f"set data.train_class to {' or '.join(classes)}"
            )
        made = [train_class]
    else:
        if train_class is not None:
            raise GanAugError(
                f"data.train_class={train_class}: model={name} is fitted on {fitted_on} classes at "
                "once; set data.train_class=null"
            )
        made = list(classes) if fitted_on == "all" else _pair(model, classes)
    known = made if fitted_on == "two" else list(classes)
    return {name: _sources(model["sources"], name, known) for name in made}


def _pair(model: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
    pair = list(model["pair"] or classes)
    if len(set(pair)) != 2 or not set(pair) <= set(classes):
        raise GanAugError(
            f"model.pair={model['pair']}: model={model['name']} translates between two classes; "
            f"name two of {', '.join(classes)}, as [{classes[0]},{classes[1]}]"
        )
    return pair


def _sources(sources: str | None, name: str, known: Sequence[str]) -> list[str]:
    if sources is None:
        return []
    return [name] if sources == "same" else [other for other in known if other != name]
