"""Which classes a GAN is fitted on, which it makes, and what it makes them from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gan_aug.run.errors import GanAugError
from gan_aug.settings.class_facts import GanFacts, gan_facts


def classes_made(
    model: Any, train_class: str | None, classes: Sequence[str]
) -> dict[str, list[str]]:
    """Return the classes that a GAN is fitted on, each with the classes of its source images.

    It makes images of just those classes.

    Args:
        model: its settings, as `GanSettings` or as a mapping; may come from a file.
        train_class: the class of a GAN that is fitted on one.
        classes: of the data set.

    Returns:
        Class name to the classes that its images are translated from; none: made from nothing.

    Raises:
        GanAugError: a setting that does not fit the GAN.
    """
    settings = model if isinstance(model, Mapping) else {"name": model.name, "pair": model.pair}
    return classes_of(
        gan_facts(model), settings["name"], settings.get("pair"), train_class, classes
    )


def made_with(model: Any, class_name: str, classes: Sequence[str]) -> dict[str, list[str]]:
    """Return what `classes_made` does, of the GAN that makes a class.

    Args:
        model: its settings.
        class_name: the class.
        classes: of the data set.
    """
    train_class = class_name if gan_facts(model).fitted_on == "one" else None
    return classes_made(model, train_class, classes)


def classes_of(
    facts: GanFacts,
    name: str,
    pair: Sequence[str] | None,
    train_class: str | None,
    classes: Sequence[str],
) -> dict[str, list[str]]:
    """Return what `classes_made` does, of a GAN's facts, name and `pair`."""
    if facts.fitted_on == "one":
        if train_class is None:
            raise GanAugError(
                f"data.train_class=null: model={name} has no labels and is fitted on one class; "
                f"set data.train_class to {' or '.join(classes)}"
            )
        made = [train_class]
    else:
        if train_class is not None:
            raise GanAugError(
                f"data.train_class={train_class}: model={name} is fitted on {facts.fitted_on} "
                "classes at once; set data.train_class=null"
            )
        made = list(classes)
    known = list(classes)
    if facts.fitted_on == "two":
        made = known = list(pair or classes)
        if len(set(made)) != 2 or not set(made) <= set(classes):
            shown = "null" if pair is None else list(pair)
            raise GanAugError(
                f"model.pair={shown}: model={name} translates between two classes; "
                f"name two of {', '.join(classes)}, as [{classes[0]},{classes[1]}]"
            )
    return {label: _sources(facts.sources, label, known) for label in made}


def _sources(sources: str | None, name: str, known: Sequence[str]) -> list[str]:
    if sources is None:
        return []
    return [name] if sources == "same" else [other for other in known if other != name]
