"""Which classes of a data set are taken: `data.classes`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gan_aug.data.sources.layout import Entry
from gan_aug.data.sources.tree import LeftOut
from gan_aug.run.errors import GanAugError
from gan_aug.settings.by_name import class_named, names_in, written

REST = "other"
"""In `data.classes`: all classes that are not named, as one; unless a class is called so."""


def chosen_classes(
    entries: list[Entry], classes: Any, left_out: LeftOut, where: str
) -> list[Entry]:
    """Return the files of the classes that are taken, those of `REST` with that label.

    Args:
        entries: all files.
        classes: what `data.classes` says; None: all are taken.
        left_out: gets the files of the other classes.
        where: the data, for messages: a checkpoint may have said which classes there were.

    Raises:
        GanAugError: it names something that is no class.
    """
    if classes is None:
        return entries
    there = sorted({entry.label for entry in entries})
    typed = names_in(classes)
    setting = f"{where}: data.classes=[{','.join(map(written, typed))}]"
    rest = REST in typed and REST not in there
    taken = [class_named(one, there, setting) for one in typed if not (rest and one == REST)]
    if len({*taken}) < len(taken):
        raise GanAugError(f"{setting}: names a class twice; leave one of them out")
    if rest and not set(there) - set(taken):
        raise GanAugError(f"{setting}: no class is left for {REST}; leave it out")
    found = []
    for entry in entries:
        if entry.label in taken:
            found.append(entry)
        elif rest:
            found.append(replace(entry, label=REST))
        else:
            left_out.add(entry.path, f"of the class {entry.label}, which data.classes leaves out")
    return found
