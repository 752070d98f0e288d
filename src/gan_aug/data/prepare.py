"""From the `data` node of the configuration to the images of a run. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from gan_aug.data.cache import default_cache_dir
from gan_aug.data.classes import Classes
from gan_aug.data.source import Source
from gan_aug.data.splits import Splits, check_disjoint, make_splits
from gan_aug.data.synthetic import SyntheticSet, read_set
from gan_aug.run.errors import GanAugError
from gan_aug.run.run_record import Config
from gan_aug.run.terminal import printable
from gan_aug.settings.ranges import AUTO


@dataclass(frozen=True)
class Prepared:
    """The images of a run.

    Attributes:
        splits: real images.
        synthetic: generated images that join training, or None.
    """

    splits: Splits
    synthetic: SyntheticSet | None


def data_settings(data: Mapping[str, Any], root: str | None, download: bool = False) -> Config:
    """Return a run's `data` settings for use elsewhere: real images, in another folder.

    Args:
        data: the resolved settings of the run.
        root: where the data set is now.
        download: whether to fetch it where it is not.
    """
    kept = {key: value for key, value in data.items() if key not in ("cache_dir", "download")}
    now = {"root": root, "download": download}
    source = {key: now.get(key, value) for key, value in data["source"].items()}
    no_images = {"dir": None, "count": None}
    return kept | now | {"source": source, "cache_dir": None, "synthetic": no_images}


def load(data: DictConfig) -> Source:
    """Return the data set that `data` describes.

    Raises:
        GanAugError: it cannot be read.
    """
    cache_dir = Path(data.cache_dir).expanduser() if data.cache_dir else default_cache_dir()
    source: Source = instantiate(data.source).load(data.image_size, data.channels, cache_dir)
    _check_classes(data, source.classes)
    return source


def _check_classes(data: DictConfig, classes: Classes) -> None:
    """Check that classes that a command names are those that the data set gives.

    Raises:
        GanAugError: they are others.
    """
    for key, own in (
        ("classes", list(classes.names)),
        ("positive", classes.positive),
        ("num_classes", len(classes)),
    ):
        typed: Any = OmegaConf.select(data, key)
        if typed is None:
            continue
        named = typed
        if key == "classes":
            named = sorted(classes.all_named(typed, "data.classes"), key=classes.label)
        elif key == "positive":
            named = classes.named(typed, "data.positive")
        if named != own:
            raise GanAugError(
                f"data.{key}={typed}: data={data.name} has {own}, and only data=folder takes a "
                "choice (data.classes, data.positive); leave it null"
            )


def cut(data: DictConfig, source: Source) -> Splits:
    """Cut and check the real images that `data` asks for.

    Raises:
        GanAugError: there are not as many, or numbers that only a study takes from its data.
    """
    for key in ("subset", "internal_per_class"):
        if data[key] == AUTO:
            raise GanAugError(f"data.{key}=auto: is for studies; name a number, or null for all")
    splits = make_splits(
        source,
        draw=data.draw,
        subset=_subset(data, source.classes),
        development_per_class=data.development_per_class,
        val_per_class=data.val_per_class,
        internal_per_class=data.internal_per_class,
        on_conflict=data.get("on_conflict", "stop"),  # no setting of earlier checkpoints
    )
    check_disjoint(splits)
    return splits


def print_left_out(source: Source) -> None:
    """Print how many files of the data set are not read, by reason, on one line; none, if none."""
    reasons = {reason: n for reason, n in source.notes.get("files_left_out", {}).items() if n}
    if bad := source.notes.get("bad_files_skipped"):
        reasons["bad files, skipped"] = len(bad)
    if reasons:
        counts = "; ".join(f"{n} ({reason})" for reason, n in reasons.items())
        root = source.notes["root"]
        print(printable(f"data.root={root}: files not read: {counts}; inspect lists each"))


def prepare(data: DictConfig, source: Source | None = None) -> Prepared:
    """Load, cut and check the images that `data` asks for.

    Args:
        data: the settings.
        source: the data set, where it has been loaded.

    Raises:
        GanAugError: anything wrong with the data or what is asked of it.
    """
    source = load(data) if source is None else source
    print_left_out(source)
    splits = cut(data, source)
    synthetic = None
    if data.synthetic.dir is not None:
        synthetic = read_set(
            Path(data.synthetic.dir).expanduser(),
            data.synthetic.count,
            data.image_size,
            splits,
        )
    elif data.synthetic.count:
        raise GanAugError(
            f"data.synthetic.count={data.synthetic.count}: needs data.synthetic.dir=DIR, "
            "the synthetic/ folder of a GAN run"
        )
    return Prepared(splits, synthetic)


def _subset(data: DictConfig, classes: Classes) -> dict[str, int | None]:
    value = OmegaConf.to_container(data, resolve=True)["subset"]  # type: ignore[call-overload,index]
    return classes.numbers(value, "data.subset")
