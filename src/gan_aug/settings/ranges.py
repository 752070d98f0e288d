"""What settings may hold: rules, and the tables of them by key."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from gan_aug.run.errors import GanAugError, as_typed
from gan_aug.settings.by_name import by_name, names_in

_LARGEST = sys.float_info.max
Rule = tuple[Callable[[Any], bool], str]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return -_LARGEST <= value <= _LARGEST  # a whole number may be too large for a float


def _is_list(value: Any, n: int | None = None) -> bool:
    return isinstance(value, list | ListConfig) and n in (None, len(value))


def _is_path(value: str) -> bool:
    try:
        Path(value).expanduser()
    except RuntimeError:  # ~somebody, who has no home here
        return False
    return bool(value) and "\0" not in value


def at_least(least: int) -> Rule:
    """Return the rule of whole numbers from `least`."""
    return lambda v: _is_int(v) and v >= least, f"a whole number from {least}"


def whole(least: int, most: int) -> Rule:
    """Return the rule of whole numbers from `least` to `most`."""
    return (lambda v: _is_int(v) and least <= v <= most, f"a whole number from {least} to {most}")


def within(low: float, high: float) -> Rule:
    """Return the rule of numbers from `low` to `high`, both included."""
    return (lambda v: _is_number(v) and low <= v <= high, f"a number from {low:g} to {high:g}")


def within_ends(low: float, high: float) -> Rule:
    """Return the rule of numbers between `low` and `high`, neither included."""
    return (lambda v: _is_number(v) and low < v < high, f"a number between {low:g} and {high:g}")


def or_null(rule: Rule) -> Rule:
    """Return a rule that also takes null."""
    return lambda v: v is None or rule[0](v), f"{rule[1]}, or null"


def one_of(*choices: Any) -> Rule:
    """Return the rule of a few choices."""
    return lambda v: v in choices, f"one of {', '.join(str(c).lower() for c in choices)}"


AUTO = "auto"
"""Of a number that a study takes from its data (gan_aug.study.derived)."""


def or_auto(rule: Rule) -> Rule:
    """Return a rule that also takes `auto`."""
    return lambda v: v == AUTO or rule[0](v), f"{rule[1]}, or auto"


def by_class(rule: Rule) -> Rule:
    """Return the rule of a value for all classes, or of a mapping from class names to values."""

    def holds(value: Any) -> bool:
        value = by_name(value)
        if isinstance(value, Mapping | DictConfig):
            return all(rule[0](inner) for inner in value.values())
        return rule[0](value)

    return holds, f"{rule[1]}, for all classes or as {{CLASS: NUMBER}}"


positive: Rule = (lambda v: _is_number(v) and v > 0, "a number above 0")
not_negative: Rule = (lambda v: _is_number(v) and v >= 0, "a number from 0")
share: Rule = (lambda v: _is_number(v) and 0 <= v < 1, "a number from 0 to below 1")
is_bool: Rule = (lambda v: isinstance(v, bool), "true or false")
is_null: Rule = (lambda v: v is None, "null")
class_name: Rule = (lambda v: isinstance(v, str | int | float), "the name of a class")
"""Which class a number or true means, the data set says: gan_aug.settings.by_name."""
text: Rule = (lambda v: isinstance(v, str), "text")
path: Rule = (
    lambda v: isinstance(v, str) and _is_path(v),
    'the path of a file or folder, as text (in quotes where it is a number: "5")',
)
names: Rule = (lambda v: _is_list(v) and all(isinstance(x, str) for x in v), "a list of names")
patterns: Rule = (
    lambda v: isinstance(v, str) or names[0](v),
    "a list of patterns of paths, as ['*_mask*','*/masks/*']",
)
columns: Rule = (
    lambda v: isinstance(by_name(v), Mapping | DictConfig),
    "what columns are called, as {path: image_path, label: diagnosis}",
)
pairs: Rule = (
    lambda v: _is_list(v) and all(_is_list(x, 2) and names[0](x) for x in v),
    "a list of pairs of names, as [[classic_gan,classic]]",
)
sizes: Rule = (
    lambda v: _is_list(v) and len(v) > 1 and all(map(at_least(1)[0], v)) and sorted({*v}) == [*v],
    "a list of two and more growing numbers of images, as [25,50,100]",
)
betas: Rule = (
    lambda v: _is_list(v, 2) and all(isinstance(x, float) and share[0](x) for x in v),
    "a list of two numbers from 0 to below 1 with a decimal point, as [0.0,0.9]",
)
window: Rule = (
    lambda v: v == "percentiles" or (_is_list(v, 2) and all(map(_is_number, v)) and v[1] > 0),
    "centre and width as [40,400], or percentiles",
)
magnifications: Rule = (
    lambda v: _is_list(v, 2) and all(positive[0](x) for x in v) and v[0] <= v[1],
    "a list of two numbers above 0, the smaller first",
)

MOST_IMAGES = 100_000
"""Of a class at once: they are held in memory."""
count = whole(0, MOST_IMAGES)

RULES: dict[str, Rule] = {
    "seed": whole(0, 2**32 - 1),
    "draw": at_least(0),
    "resume": is_bool,
    "verbose": is_bool,
    "generate.count": whole(1, MOST_IMAGES),
    "generate.seed": at_least(0),
    "count": whole(1, MOST_IMAGES),
    "checkpoint": or_null(path),
    "output_dir": path,
    "study_dir": path,
    "archive": or_null(path),
    "gans_dir": path,
    "watch": is_bool,
    "refresh_seconds": positive,
    "synthetic.dir": or_null(path),
    "data.root": or_null(path),
    "data.cache_dir": or_null(path),
    "data.source.train_per_class": whole(1, MOST_IMAGES),
    "data.source.test_per_class": whole(1, MOST_IMAGES),
    "data.source.seed": at_least(0),
    "data.download": is_bool,
    "data.image_size": whole(8, 1024),
    "data.channels": one_of(None, 1, 3),
    "data.target": one_of("class", "subtype"),
    "data.window": or_null(window),
    "data.fit": one_of("squeeze", "pad", "crop"),
    "data.table": or_null(path),
    "data.columns": or_null(columns),
    "data.exclude": or_null(patterns),
    "data.patient_regex": or_null(text),
    "data.test_share": within_ends(0, 1),
    "data.val_share": within_ends(0, 1),
    "data.split_seed": at_least(0),
    "data.positive": or_null(class_name),
    "data.classes": or_null(
        (lambda v: _is_list(names_in(v)) and len(names_in(v)) > 1, "a list of two classes or more")
    ),
    "data.set": text,
    "data.batch_size": whole(2, 65536),
    "data.development_per_class": at_least(0),
    "data.val_per_class": at_least(1),
    "data.internal_per_class": or_auto(at_least(0)),
    "data.subset": or_auto(by_class(or_null(at_least(0)))),
    "data.synthetic.dir": or_null(path),
    "data.synthetic.count": or_null(count),
    "data.on_bad_file": one_of("error", "skip"),
    "data.on_conflict": one_of("stop", "drop"),
    "data.train_class": or_null(class_name),
    "trainer.devices": one_of(1),
    "trainer.threads": (
        lambda v: v == "auto" or whole(1, 1024)[0](v),
        "auto, or a whole number from 1 to 1024",
    ),
    "trainer.max_epochs": or_null(at_least(1)),
    "trainer.precision": one_of("auto", "32-true", "bf16-mixed", "16-mixed"),
    "trainer.log_every_n_steps": at_least(1),
    "quality.count": whole(10, MOST_IMAGES),
    "quality.seed": at_least(0),
    "quality.use": names,
    "quality.reference_dir": path,
    "quality.reference_steps": at_least(1),
    "quality.fit_steps": at_least(1),
    "quality.every_n_epochs": or_null(at_least(1)),
    "quality.classifier.patience": is_null,
    "quality.metrics.precision_recall.function.k": at_least(1),
    "quality.metrics.density_coverage.function.k": at_least(1),
    "quality.metrics.ms_ssim.function.pairs": at_least(1),
    "controls": is_bool,
    "images": at_least(1),
    "callbacks.checkpoint.every_n_seconds": not_negative,
}
"""What each key may hold; keys that a configuration does not have are passed over."""

MODEL_RULES: dict[str, Rule] = {
    "lr": positive,
    "lr_g": positive,
    "lr_d": positive,
    "betas": betas,
    "d_steps": at_least(1),
    "g_steps": at_least(1),
    "width": whole(1, 4096),
    "hidden": whole(1, 65536),
    "weight_decay": not_negative,
    "schedule": one_of("constant", "cosine"),
    "pretrained": is_bool,
    "weights": or_null(path),
    "patience": or_null(at_least(1)),
    "latent_dim": whole(1, 65536),
    "ema_decay": share,
    "real_label": (lambda v: _is_number(v) and 0.5 < v <= 1, "a number in (0.5, 1]"),
    "loss": one_of("non_saturating", "hinge", "least_squares", "wasserstein"),
    "penalty": not_negative,
    "drift": not_negative,
    "growth.fade": within_ends(0, 1),
    "growth.stable": share,
    "dropout": share,
    "spectral_norm": is_bool,
    "balanced": is_bool,
    "batch_size": whole(2, 65536),
    "batches": at_least(1),
    "pair": or_null((lambda v: _is_list(names_in(v), 2), "a list of two names of classes")),
    "decay_from": within(0, 1),
    "truncation": or_null(within(0.1, 10)),
    "blocks": whole(1, 64),
    "patch_layers": whole(1, 3),
    "pool": whole(1, 10_000),
    "cycle_weight": not_negative,
    "identity_weight": not_negative,
    "condition": one_of("lung_mask", "blur", "edges"),
    "l1_weight": not_negative,
    "gamma": not_negative,
    "r1.gamma": not_negative,
    "r1.every": at_least(1),
    "class_weight": not_negative,
    "sample_every_n_epochs": at_least(1),
}
"""Of every node that describes a network: model, classifier, quality.classifier."""

AUGMENT_RULES: dict[str, Rule] = {
    "brightness": within(0, 2),
    "contrast": within(0, 1),
    "translation": share,
    "cutout": share,
    "flip": within(0, 1),
    "degrees": within(0, 180),
    "shift": share,
    "scale": magnifications,
}
"""Of the random changes that gan_aug.models.augment makes."""

ADAPTIVE_RULES: dict[str, Rule] = {
    "target": share,
    "ramp_images": at_least(1),
    "most": within(0, 1),
}
"""Of gan_aug.models.adaptive_augment."""

SPLITS = ("validation", "internal", "development", "test")

STUDY_RULES: dict[str, Rule] = {
    "folder": text,
    "repeats": whole(1, 1000),
    "validate_every": at_least(1),
    "gan_batches": at_least(1),
    "gan_curve_points": or_null(at_least(1)),
    "gan_select": or_null(text),
    "gan_fits": or_null(whole(1, 100)),
    "splits": names,
    "comparisons": pairs,
    "question.arm": text,
    "question.reference": text,
    "count": or_auto(by_class(count)),
    "ruler": or_null(or_auto(by_class(sizes))),
    "rare": or_null(class_name),
    "unlabelled": or_null(whole(1, MOST_IMAGES)),
}

_LAYERS: Rule = (
    lambda v: isinstance(v, ListConfig) and len(v) > 0 and all(map(at_least(0)[0], v)),
    "a list of whole numbers from 0, as in layers=[0,2]",
)
EXPLAIN_RULES: dict[str, Rule] = {
    "layers": or_null(_LAYERS),
    "filters": at_least(1),
    "patches": at_least(1),
}

_ABSENT = object()


def check_ranges(cfg: DictConfig, rules: Mapping[str, Rule], prefix: str = "") -> None:
    """Check those keys of `rules` that a configuration has; `prefix` says where it hangs.

    Raises:
        GanAugError: naming the key, its value and what it may hold.
    """
    for key, (holds, wanted) in rules.items():
        value = OmegaConf.select(cfg, key, default=_ABSENT)
        if value is _ABSENT or holds(value):
            continue
        if isinstance(value, DictConfig):  # of the classes one is enough to tell
            for name in (name for name, inner in value.items() if not holds(inner)):
                raise GanAugError(
                    f"{prefix}{key}.{name!s}={as_typed(value[name])}: must be {wanted}"
                )
        raise GanAugError(f"{prefix}{key}={as_typed(value)}: must be {wanted}")


def check_augment(node: Any, prefix: str, group: str = "augment") -> None:
    """Check the ranges of a node that describes random changes of gan_aug; null is none.

    Args:
        node: the setting.
        prefix: where it hangs.
        group: the folder of conf/ that it is chosen from.

    Raises:
        GanAugError: naming the key, its value and what it may hold.
    """
    if node is None:
        return
    if not isinstance(node, DictConfig) or "_target_" not in node:
        raise GanAugError(f"{prefix}={node}: must be one of conf/{group}, or null")
    if str(node._target_).startswith("gan_aug.models.augment."):
        check_ranges(node, AUGMENT_RULES, f"{prefix}.")
    elif str(node._target_).startswith("gan_aug.models.adaptive_augment."):
        check_ranges(node, ADAPTIVE_RULES, f"{prefix}.")
