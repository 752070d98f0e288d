"""The images of a data set before they are read: their classes, splits and patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gan_aug.data.classes import Classes
from gan_aug.data.decode import Decoded
from gan_aug.data.groups import GroupsByColumn
from gan_aug.data.image_table import ImageTable
from gan_aug.data.source import Notes
from gan_aug.data.sources.tree import Tree
from gan_aug.runtime.errors import GanAugError, as_typed, see
from gan_aug.settings.by_name import class_named, names_in

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Folders, and entries of a table's column `split`, to what they are."""
REST = "other"
"""In `data.classes`: all classes that are not named, as one; unless a class is called so."""


@dataclass(frozen=True)
class Entry:
    """One image, before it is read: its path below the root, its class, and more if it is known.

    The split is train, val or test, None where it is to be cut.
    """

    path: str
    label: str
    split: str | None
    patient: str | None


@see("classes")
def chosen_classes(entries: list[Entry], classes: Any, tree: Tree, where: str) -> list[Entry]:
    """Return the files of the classes that `data.classes` takes, those of `REST` with that label.

    None takes all. The tree lists the files of the other classes; `where` names the data: a
    checkpoint may have said which classes there were.

    Raises:
        GanAugError: it names something that is no class.
    """
    if classes is None:
        return entries
    there = sorted({entry.label for entry in entries})
    typed = names_in(classes)
    setting = f"{where}: data.classes=[{','.join(map(as_typed, typed))}]"
    rest = REST in typed and REST not in there
    taken = [class_named(one, there, setting) for one in typed if not (rest and one == REST)]
    if len({*taken}) < len(taken):
        raise GanAugError(f"{setting}: names a class twice; leave one of them out")
    if rest and not set(there) - set(taken):
        raise GanAugError(f"{setting}: no class is left for {REST}; leave it out")
    kept = []
    for entry in entries:
        if entry.label in taken:
            kept.append(entry)
        elif rest:
            kept.append(replace(entry, label=REST))
        else:
            tree.leave_out(entry.path, f"of the class {entry.label}, which data.classes leaves out")
    return kept


@see("classes")
def check_splits(where: str, entries: list[Entry]) -> None:
    """Raise GanAugError unless all images have splits or none, and each split all classes."""
    classes: dict[str | None, set[str]] = {}
    for entry in entries:
        classes.setdefault(entry.split, set()).add(entry.label)
    if classes.keys() == {None}:
        return
    if None in classes:
        bare = next(entry.path for entry in entries if entry.split is None)
        raise GanAugError(f"{where}: {bare} has no split, others have; give it one, or none any")
    if "train" not in classes:
        raise GanAugError(f"{where}: has no training images; name a split train")
    every = set().union(*classes.values())
    for split, names in classes.items():
        if every > names:
            lacking = min(every - names)
            said = f"no images of {lacking}, other splits have; add some, or remove that class"
            if alike := {name.casefold(): name for name in names}.get(lacking.casefold()):
                said = f"the class {alike} where others have {lacking}; name them alike"
            raise GanAugError(f"{where}: {split} has {said}")


@contextmanager
def reading(root: Path) -> Iterator[None]:
    """Turn what the system says of files below a folder into the one line."""
    try:
        yield
    except OSError as error:
        raise GanAugError(
            f"data.root={root}: {error.filename} cannot be read ({error.strerror}); allow reading "
            "it, or name another folder"
        ) from error


@see("disk")
def readable(root: Path, entries: Sequence[Entry], decoded: Decoded) -> list[Entry]:
    """Return the entries whose files were decoded, with the patients that their headers name.

    Raises:
        GanAugError: no file of a class, or of a class in a split, could be read.
    """
    first = {(entry.label, entry.split): entry.path for entry in reversed(entries)}
    good = [
        replace(entry, patient=entry.patient or decoded.good[entry.path]["patient"])
        for entry in entries
        if entry.path in decoded.good
    ]
    if lost := first.keys() - {(entry.label, entry.split) for entry in good}:
        path, name, split = min((first[each], *each) for each in lost)
        raise GanAugError(
            f"data.root={root}: no file of the class {name}{f' in {split}' if split else ''} "
            f"can be read; mend them, or take the class away ({path}: {decoded.bad[path]})"
        )
    return good


def tables(
    entries: Sequence[Entry],
    patients: Sequence[str],
    decoded: Decoded,
    classes: Classes,
    groups: GroupsByColumn | None = None,
) -> dict[str, ImageTable]:
    """Return train, val and test of what `readable` gives; without a split it is train."""
    table = ImageTable(
        images=decoded.images,
        labels=np.array([classes.label(entry.label) for entry in entries], np.int64),
        patients=np.array(patients, np.str_),
        paths=np.array([entry.path for entry in entries], np.str_),
        hashes=np.array([decoded.good[entry.path]["sha256"] for entry in entries], np.str_),
        classes=classes,
        groups=groups or {},
    )
    splits = np.array([entry.split or "train" for entry in entries])
    return {name: table.take(splits == name) for name in ("train", "val", "test")}


def notes_of(
    root: Path, entries: Sequence[Entry], decoded: Decoded, tree: Tree, *warnings: str
) -> Notes:
    """Return what run.json keeps of files: which were not read, and what the others are."""
    good = decoded.good.values()
    return Notes(
        root=str(root),
        bad_files_skipped=decoded.bad,
        files_skipped=dict(sorted(tree.reasons.items())),
        files_left_out=dict(sorted(tree.files.items())),
        files_without_patient_id=sum(entry.patient is None for entry in entries),
        modes=dict(Counter(facts["mode"] for facts in good)),
        sizes=dict(Counter("{} x {}".format(*facts["size"]) for facts in good)),
        warnings=[*tree.warnings, *warnings],
    )
