"""External tests: images of another hospital, say, that finished fits are measured on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from gan_aug.data.classes import Classes
from gan_aug.data.image_table import ImageTable, concatenate
from gan_aug.data.near_duplicates import nearest_alike
from gan_aug.data.source import ExternalTest, Source, extra_copies, in_two_classes
from gan_aug.data.sources.folder import Folder
from gan_aug.runtime.errors import GanAugError, as_typed, see
from gan_aug.settings.by_name import class_named, normal
from gan_aug.settings.data import DataSettings, ExternalSettings

_KEYS = "|".join(("root", "table", "columns", "exclude", "patient_regex", "window"))
_MOST_LISTED = 100
"""Near duplicates whose paths run.json keeps."""


def with_external_tests(data: DataSettings, source: Source, cache_dir: Path) -> Source:
    """Return a data set with the sets of `data.external`, decoded as its own images are.

    They are taken whole, whatever splits they have. An image that the data set has too, or that is
    there twice, is left out of the external set: so draws are the same with it and without.

    Raises:
        GanAugError: one cannot be read, or its classes are not those of the data set.
    """
    read = {
        name: _read(name, one, data, source, cache_dir)
        for name, one in (data.external or {}).items()
    }
    return replace(source, external=read)


def _read(
    name: str, one: ExternalSettings, data: DataSettings, source: Source, cache_dir: Path
) -> ExternalTest:
    where = f"data.external.{name}"
    try:
        whole = _load(where, one, data, source.channels, cache_dir)
    except GanAugError as error:  # of data=folder, whose settings have these names too
        said = re.sub(rf"(?<![\w./-])data\.({_KEYS})\b", rf"{where}.\1", str(error))
        raise GanAugError(said if said.startswith(where) else f"{where}: {said}") from error
    table, notes = concatenate(*whole.tables().values()), whole.notes
    chosen = _classes(where, one.classes, table.classes, source.classes)
    left_out = {
        f"of the class {theirs}": n
        for theirs, n in table.counts().items()
        if chosen[theirs] is None
    }
    table = _renamed(table, chosen, source.classes)
    table, left_out["in two of its classes"] = _without_conflicts(where, table, data.on_conflict)
    own = concatenate(*source.tables().values())
    known, twice = np.isin(table.hashes, own.hashes), extra_copies(table)
    left_out |= {
        "in the data set too": int(known.sum()),
        "copies of its own images": int((twice & ~known).sum()),
    }
    warnings = [f"{where}: {said}" for said in notes.warnings]
    if known.any():
        warnings.append(
            f"{where}: {int(known.sum())} of its images are in the data set too, such as "
            f"{table.paths[known][0]}; they are left out of {name}"
        )
    if notes.files_without_patient_id:
        warnings.append(
            f"{where}: the patient of {notes.files_without_patient_id} images is not known; each, "
            "or each group of near duplicates, counts as one"
        )
    table = table.take(~known & ~twice)
    shared = {*table.patients.tolist()} & {*own.patients.tolist()}
    if shared and source.patients_known and not notes.files_without_patient_id:
        warnings.append(
            f"{where}: {len(shared)} of its patients have a name that the data set has too, such "
            f"as {min(shared)}; are they the same people? Results on {name} are then too good"
        )
    if lacking := [label for label, n in table.counts().items() if not n]:
        raise GanAugError(
            f"{where}: has no images of {lacking[0]}, and a test needs some of each class (AUROC "
            f"compares them); name its class in {where}.classes, or bring images"
        )
    alike: list[tuple[str, str]] = []
    if data.fit == "pad":
        warnings.append(
            f"{where}: nobody looked whether its images look like those of the data set (data.fit="
            "pad: black bars make any two alike)"
        )
    else:
        rows, others, _ = nearest_alike(table.images, own.images)
        alike += zip(table.paths[rows].tolist(), own.paths[others].tolist(), strict=True)
    if alike:
        warnings.append(
            f"{where}: {len(alike)} of its images look like images of the data set, such as "
            f"{' like '.join(alike[0])}; are they the same pictures? Results on {name} are then "
            "too good"
        )
    facts = {
        "root": notes.root,
        "fingerprint": _fingerprint(table, one),
        "classes": {theirs: ours for theirs, ours in chosen.items() if ours is not None},
        "images": table.counts(),
        "patients": len(set(table.patients.tolist())),
        "patients_known": not notes.files_without_patient_id,
        "left_out": {why: n for why, n in left_out.items() if n},
        "near_duplicates": alike[:_MOST_LISTED],
        "nearly_the_same": len(alike),
        "bad_files_skipped": notes.bad_files_skipped,
        "files_left_out": notes.files_left_out,
        "warnings": warnings,
    }
    return ExternalTest(table, facts)


def _load(
    where: str, one: ExternalSettings, data: DataSettings, channels: int, cache_dir: Path
) -> Source:
    """Return a set with its own classes; whatever splits it has count for nothing."""
    if one.source is not None:
        reader: Any = one.source.build(f"{where}.source")
        other: Source = reader.load(data.image_size, channels, cache_dir)
        return other
    folder = Folder(
        root=one.root,
        table=one.table,
        columns=one.columns,
        exclude=one.exclude,
        patient_regex=one.patient_regex,
        fit=data.fit,
        on_bad_file=data.on_bad_file,
        window=one.window,
    )
    return folder.load(data.image_size, channels, cache_dir, whole=True)


@see("classes")
def _classes(
    where: str, typed: Mapping[Any, Any] | None, there: Classes, own: Classes
) -> dict[str, str | None]:
    """Return a set's classes to those of the data set, None to leave one out.

    What `classes` does not say is matched by name, whatever the case of its letters.
    """
    chosen: dict[str, str | None] = {}
    for key, value in (typed or {}).items():
        setting = f"{where}.classes.{as_typed(key)}"
        theirs = class_named(key, there.names, setting)
        if value is None:
            chosen[theirs] = None
        else:
            chosen[theirs] = class_named(value, own.names, f"{setting}={as_typed(value)}")
    for ours, theirs in product(own, there):
        if normal(ours).casefold() == normal(theirs).casefold():
            chosen.setdefault(theirs, ours)
    if unmatched := [name for name in there if name not in chosen]:
        left = [name for name in own if name not in chosen.values()]
        # With more than one left a guess may be the wrong way round.
        guess = left[0] if len(left) == len(unmatched) == 1 else "CLASS"
        pairs = ", ".join(f"{name}: {as_typed(chosen.get(name, guess))}" for name in there)
        name = where.rpartition(".")[2]
        raise GanAugError(
            f"{where}: has the classes {', '.join(there)}, the data set {', '.join(own)}; say what "
            f"{unmatched[0]} is: 'data.external={{{name}: {{root: DIR, classes: {{{pairs}}}}}}}', "
            "with null for a class to leave out"
        )
    return {name: chosen[name] for name in there}


def _renamed(table: ImageTable, chosen: Mapping[str, str | None], own: Classes) -> ImageTable:
    """Return the rows whose class is one of the data set's, with its labels."""
    ours = [chosen[theirs] for theirs in table.classes]
    labels = np.array([-1 if name is None else own.label(name) for name in ours], np.int64)
    table = replace(table, labels=labels[table.labels], classes=own)
    return table.take(table.labels >= 0)


@see("two-classes")
def _without_conflicts(where: str, table: ImageTable, on_conflict: str) -> tuple[ImageTable, int]:
    """Leave out the images that are in two classes, and say how many; or refuse them."""
    conflicts, shown = in_two_classes([table])
    if conflicts and on_conflict != "drop":
        raise GanAugError(
            f"{where}: {shown} are the same image, in two classes; delete the wrong one, or leave "
            "out all such images with data.on_conflict=drop"
        )
    in_two = np.isin(table.hashes, list(conflicts))
    return table.take(~in_two), int(in_two.sum())


def _fingerprint(table: ImageTable, one: ExternalSettings) -> str:
    """Return a hash of all that numbers depend on: images, classes, patients, a DICOM's window.

    A patient goes by the first hash of their images; draws may read the set from other folders.
    """
    hashes, first = table.hashes.tolist(), dict[str, str]()
    patients = table.patients.tolist()
    for patient, image in zip(patients, hashes, strict=True):
        first[patient] = min(image, first.get(patient, image))
    rows = sorted(
        f"{label} {image} {first[patient]}"
        for label, image, patient in zip(table.labels, hashes, patients, strict=True)
    )
    window = one.window if one.source is None else one.source.plain().get("window")
    if window is not None:
        rows.append(f"window {window}")
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]
