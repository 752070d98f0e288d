"""From a data set to the images of one draw: holdout, validation by patient, training subset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.image_table import ImageTable
from gan_aug.data.source import (
    Source,
    WithTraining,
    extra_copies,
    held_out_copies,
    units,
    without_conflicts,
)
from gan_aug.runtime.errors import GanAugError, see

_HOLDOUT_STREAM = 20180222
"""Seeds the holdout, which is the same for every draw (the data set's publication day)."""
_HELD_OUT = ("test", "validation", "development", "internal")


@dataclass(frozen=True)
class Splits(WithTraining):
    """The images of one draw; no duplicate is in two of them.

    Where validation is cut from the training folder, no patient of `validation` or of `internal` is
    in another part of that folder; `train` and `unused` may share patients. Nor is a patient in
    both `test` and `development`, which are cut from the data set's own test folder.

    That folder is taken as it is and may share patients with the training folder. Of Kaggle's
    X-rays 416 of 624 test files have the patient id (`parse_name`) of a training file; whether that
    is the same person is not known. 170 of the test folder's 202 `personN` are in the training
    folder too, but none as bacteria, or as virus, in both: numbers seem to be given by type. No id
    of a normal image is in both while it keeps its `NORMAL2-`.

    Attributes:
        validation: decides early stopping and thresholds.
        test: read once, at the end.
        development: images set aside from the test split, the same for every draw.
        internal: a test of the training split's own distribution: patients of the training folder
            that are in no other part of the draw.
        unused: training images that the draw did not choose, of patients outside `internal` and a
            cut `validation`; a patient of `train` may have images here.
        patient_units: patient of the training folder to the number of the group (`units`) that must
            stay on one side of a cut; the same for every draw.
        fingerprint: of the data set, before any cut.
        notes: counts and facts for run.json.
        external: further tests by name, the same for every draw; read as `test` is.
    """

    validation: ImageTable
    test: ImageTable
    development: ImageTable
    internal: ImageTable
    unused: ImageTable
    patient_units: Mapping[str, int]
    fingerprint: str
    draw: int
    notes: dict[str, Any]
    external: Mapping[str, ImageTable] = field(default_factory=dict)

    def table(self, name: str) -> ImageTable:
        """Return a part, or an external test, by its name."""
        table: ImageTable = self.external[name] if name in self.external else getattr(self, name)
        return table

    @property
    def external_fingerprints(self) -> dict[str, str]:
        """Hashes of the external tests' content, by name."""
        return {name: facts["fingerprint"] for name, facts in self.notes["external"].items()}

    @property
    def held_out(self) -> dict[str, ImageTable]:
        """Images that no generator may have seen, by the name of their part."""
        return {name: getattr(self, name) for name in _HELD_OUT} | dict(self.external)


def _take(
    table: ImageTable,
    group: NDArray[np.int64],
    orders: Iterable[NDArray[np.int64]],
    per_class: int,
    key: str,
) -> NDArray[np.bool_]:
    """Take whole units of each class in an order: `per_class` images of it, or the next fewer."""
    chosen = np.zeros(len(table), bool)
    for label, (name, order) in enumerate(zip(table.classes, orders, strict=True)):
        n, wanted = int((table.labels == label).sum()), per_class
        for unit in order:
            if wanted == 0:
                break
            rows = group == unit
            if (table.labels[rows] == label).all() and rows.sum() <= wanted:
                chosen |= rows
                wanted -= int(rows.sum())
        if per_class and per_class >= n:
            raise GanAugError(
                f"{key}={per_class}: there are only {n} {name} images to set these aside from; "
                f"choose a smaller {key}"
            )
        if per_class and wanted == per_class:
            raise GanAugError(
                f"{key}={per_class}: each {name} patient has more images, or some of another "
                f"class; choose a larger {key}"
            )
    return chosen


def _pick(
    table: ImageTable,
    group: NDArray[np.int64],
    per_class: int,
    seed: np.random.SeedSequence,
    key: str,
) -> NDArray[np.bool_]:
    """Take units at random."""
    orders = [
        np.random.default_rng(stream).permutation(np.unique(group[table.labels == label]))
        for label, stream in enumerate(seed.spawn(len(table.classes)))
    ]
    return _take(table, group, orders, per_class, key)


def _last_units(
    table: ImageTable, group: NDArray[np.int64], order: list[NDArray[np.int64]], per_class: int
) -> NDArray[np.bool_]:
    """Take units from the end of each class's order; the start, which training takes, stays.

    A unit is as early as its earliest image, so units of one image are taken more often.
    """
    orders = []
    for members in order:
        numbers, first = np.unique(group[members], return_index=True)
        orders.append(numbers[np.argsort(-first)])
    return _take(table, group, orders, per_class, "data.internal_per_class")


@see("too-few")
def make_splits(
    source: Source,
    draw: int,
    subset: Mapping[str, int | None],
    development_per_class: int,
    val_per_class: int,
    internal_per_class: int = 0,
    on_conflict: str = "stop",
) -> Splits:
    """Cut one draw's training, validation, internal test, test and development images.

    Holdout, validation and internal test are cut over `units`, training images are drawn one by one
    from what is left: `subset` of every class, None takes all. Images set aside for development, of
    the train and of the test split, are the same for every draw. A data set's own test and
    validation split are taken as they are, less duplicates; patients are not looked at there. A
    draw keeps its validation and internal test patients when `subset` changes, and a smaller subset
    is part of a larger one, so that training-set sizes can be compared within a draw.

    Raises:
        GanAugError: more images are asked for than there are, or an image is in two classes.
    """
    fingerprint = source.fingerprint()
    source = without_conflicts(source, on_conflict)
    train, test, development = source.train, source.test, source.test.take(slice(0, 0))
    if development_per_class:
        streams = np.random.SeedSequence(_HOLDOUT_STREAM).spawn(2)
        key = "data.development_per_class"
        aside = _pick(train, units(train), development_per_class, streams[0], key)
        train = train.take(~aside)
        aside = _pick(test, units(test), development_per_class, streams[1], key)
        test, development = test.take(~aside), test.take(aside)

    # Training images must be new to everything that is measured on, and count once.
    crossing = held_out_copies(source, train)
    new = ~crossing & ~extra_copies(train)
    # Units come from all images: a copy that is left out may be what links two patients.
    groups = units(train)
    group, pool = groups[new], train.take(new)

    streams = np.random.SeedSequence([draw]).spawn(1 + len(source.classes))
    validation = source.validation
    if validation is None:
        in_val = _pick(pool, group, val_per_class, streams[0], "data.val_per_class")
        validation, pool, group = pool.take(in_val), pool.take(~in_val), group[~in_val]

    order = [
        np.random.default_rng(streams[1 + label]).permutation(np.flatnonzero(pool.labels == label))
        for label in range(len(source.classes))
    ]
    in_internal = _last_units(pool, group, order, internal_per_class)
    rows = []
    for label, name in enumerate(source.classes):
        members = order[label][~in_internal[order[label]]]
        wanted = subset[name]
        if wanted is not None and wanted > len(members):
            raise GanAugError(
                f"data.subset.{name}={wanted}: only {len(members)} {name} training images are left "
                f"after data.internal_per_class={internal_per_class}, data.development_per_class="
                f"{development_per_class}, validation and duplicates; choose at most "
                f"{len(members)}, or lower one of the two"
            )
        rows.append(members[:wanted])
    left = ~in_internal
    left[np.concatenate(rows)] = False
    parts = {
        "train": pool.take(np.concatenate(rows)),
        "validation": validation,
        "test": test,
        "development": development,
        "internal": pool.take(in_internal),
    }
    warnings = list(source.notes.warnings)
    if not source.patients_known:
        n = source.notes.files_without_patient_id
        warnings.append(
            f"the patient of {n} images is not known: leakage between training and test images of "
            "one patient cannot be excluded"
        )
    external = {name: one.table for name, one in source.external.items()}
    for one in source.external.values():
        warnings += one.facts["warnings"]
    notes = asdict(source.notes) | {
        "warnings": warnings,
        "fingerprint": fingerprint,
        "classes": list(source.classes.names),
        "positive": source.classes.positive,
        "patients_known": source.patients_known,
        "draw": draw,
        "available": {"train": train.counts(), "test": test.counts()},
        "used": {name: table.counts() for name, table in [*parts.items(), *external.items()]},
        "duplicates": {
            "extra_copies_in_train": int(extra_copies(source.train).sum()),
            "extra_copies_in_test": int(extra_copies(source.test).sum()),
            "train_copies_of_held_out_images": int(crossing.sum()),
            "left_out_of_training": int((~new).sum()),
        },
        "external": {name: one.facts for name, one in source.external.items()},
    }
    return Splits(
        **parts,
        unused=pool.take(left),
        patient_units=dict(zip(train.patients.tolist(), groups.tolist(), strict=True)),
        fingerprint=fingerprint,
        draw=draw,
        notes=notes,
        external=external,
    )


def check_disjoint(splits: Splits) -> None:
    """Check that no duplicate crosses a split, and no patient a cut of the training folder.

    Two external tests may share images with each other: nothing is fitted on either.

    Raises:
        GanAugError: rule 2 or 3 of measurement (docs/method/rules.md) is broken.
    """
    named = {
        "training": splits.train,
        "validation": splits.validation,
        "test": splits.test,
        "development": splits.development,
        "internal test": splits.internal,
    }
    seen: dict[str, str] = {}
    for name, table in {**named, **splits.external}.items():
        for image, path in zip(table.hashes.tolist(), table.paths.tolist(), strict=True):
            if seen.get(image, name) != name:
                raise GanAugError(f"{path}: the same image is in {seen[image]} and in {name}")
            if name in named:
                seen[image] = name
    if len(splits.train) != len(set(splits.train.hashes.tolist())):
        copies = Counter(splits.train.hashes.tolist()).most_common(1)[0]
        raise GanAugError(f"image {copies[0][:12]} counts {copies[1]} times in training")
    cuts = {k: set(named[k].patients.tolist()) for k in ("training", "validation", "internal test")}
    for one, other in combinations(cuts, 2):
        if both := cuts[one] & cuts[other]:
            who = "patient" if splits.notes["patients_known"] else "the group of near duplicates"
            raise GanAugError(
                f"{who} {min(both)} is in {one} and in {other}; mend the data set's own splits, or "
                "call its val train too: validation is then cut anew"
            )
