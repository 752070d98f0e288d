"""From the settings of the data to the images of a run, and what is printed of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_aug.data.cache import cache_dir_of
from gan_aug.data.classes import Classes
from gan_aug.data.external_test import with_external_tests
from gan_aug.data.source import Source
from gan_aug.data.splits import Splits, check_disjoint, make_splits
from gan_aug.data.synthetic import SyntheticSet, read_set
from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.terminal import printable
from gan_aug.settings.data import DataSettings
from gan_aug.settings.values import AUTO


@dataclass(frozen=True)
class Prepared:
    """The images of a run: real ones, and generated ones that join training, or None."""

    splits: Splits
    synthetic: SyntheticSet | None = None


def load(data: DataSettings) -> Source:
    """Return the data set that the settings describe; raise GanAugError if it cannot be read."""
    cache_dir = cache_dir_of(data)
    reader = data.source.build("data.source")
    source: Source = reader.load(data.image_size, data.channels, cache_dir)
    _check_classes(data, source.classes)
    return with_external_tests(data, source, cache_dir)


def _check_classes(data: DataSettings, classes: Classes) -> None:
    own = (("classes", [*classes]), ("positive", classes.positive), ("num_classes", len(classes)))
    for key, there in own:
        typed: Any = getattr(data, key)
        named: Any = typed
        if key == "classes" and typed is not None:
            named = sorted(classes.all_named(typed, "data.classes"), key=classes.label)
        elif key == "positive" and typed is not None:
            named = classes.named(typed, "data.positive")
        if typed is not None and named != there:
            raise GanAugError(
                f"data.{key}={typed}: data={data.name} has {there}, and only data=folder takes a "
                "choice (data.classes, data.positive); leave it null"
            )


def cut(data: DataSettings, source: Source) -> Splits:
    """Cut and check the real images asked for; raise GanAugError if there are not as many."""
    if data.subset == AUTO:
        raise GanAugError("data.subset=auto: is for studies; name a number, or null for all")
    if isinstance(data.internal_per_class, str):
        raise GanAugError("data.internal_per_class=auto: is for studies; name a number, or 0")
    if data.draw is None:
        raise GanAugError("data.draw=null: name a draw, as draw=0")
    splits = make_splits(
        source,
        draw=data.draw,
        subset=source.classes.numbers(data.subset, "data.subset"),
        development_per_class=data.development_per_class,
        val_per_class=data.val_per_class,
        internal_per_class=data.internal_per_class,
        on_conflict=data.on_conflict,
    )
    check_disjoint(splits)
    return splits


def prepare(data: DataSettings, source: Source | None = None) -> Prepared:
    """Load (if none is given), cut and check the images; raise GanAugError for any fault."""
    source = load(data) if source is None else source
    print_left_out(source)
    splits = cut(data, source)
    synthetic = None
    if data.synthetic.dir is not None:
        folder = Path(data.synthetic.dir).expanduser()
        synthetic = read_set(folder, splits, data.synthetic.count)
    elif data.synthetic.count:
        raise GanAugError(
            f"data.synthetic.count={data.synthetic.count}: needs data.synthetic.dir=DIR, "
            "the synthetic/ folder of a GAN run"
        )
    return Prepared(splits, synthetic)


def print_left_out(source: Source) -> None:
    """Print how many files of the data set are not read, by reason, on one line; none, if none."""
    notes = source.notes
    reasons = {reason: n for reason, n in notes.files_left_out.items() if n}
    if notes.bad_files_skipped:
        reasons["bad files, skipped"] = len(notes.bad_files_skipped)
    if reasons:
        counts = "; ".join(f"{n} ({reason})" for reason, n in reasons.items())
        print(printable(f"data.root={notes.root}: files not read: {counts}; inspect lists each"))


def print_data(data: DataSettings, prepared: Prepared) -> None:
    """Print how many images of which kind the run uses, and where they come from."""
    notes = prepared.splits.notes
    for warning in notes["warnings"]:
        warn(warning)
    print(f"data={data.name} ({notes['root']}), fingerprint {notes['fingerprint']}")
    used = {name: counts for name, counts in notes["used"].items() if sum(counts.values())}
    for name, counts in {"available for training": notes["available"]["train"], **used}.items():
        print(f"  {name}: " + ", ".join(f"{n} {label}" for label, n in counts.items()))
    if copies := notes["duplicates"]["left_out_of_training"]:
        print(f"  exact duplicates left out: {copies}")
    if conflicts := notes["conflicts_left_out"]:
        print(f"  images in two classes left out: {len(conflicts)} (listed in run.json)")
    if notes["scaled"]:
        print(f"  {notes['scaled']}")
    if prepared.synthetic is not None:
        n = sum(map(len, prepared.synthetic.by_class.values()))
        print(f"  synthetic images added to training: {n} from {data.synthetic.dir}")
