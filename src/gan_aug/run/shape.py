"""The shape of a configuration: where groups of settings belong, nothing else may stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, QuotedString
from hydra.errors import OverrideParseException
from omegaconf import DictConfig, OmegaConf

from gan_aug.run.errors import GanAugError, as_typed

_CHOSEN_BY = {
    **{group: group for group in ("data", "model", "trainer", "callbacks", "logger", "quality")},
    "classifier": "model@classifier",
    "quality.classifier": "model@quality.classifier",
    "quality.extractor": "extractor@quality.extractor",
}
"""Nodes that are chosen as a whole from a folder of conf/, and by what argument."""
_MAPPINGS = (
    *("generate", "synthetic", "study", "study.question", "study.condition", "arms"),
    *("data.source", "data.synthetic", "model.module", "classifier.module"),
    *("quality.metrics", "quality.gate"),
)
"""Nodes that hold settings, and are chosen from nowhere."""
_OF_AN_ARM = ("added", "added.filter")
_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")


def check_arguments(arguments: list[str], conf: Path) -> None:
    """Check that what is chosen from a folder of conf/ is a name, and is not taken away.

    Hydra itself names no argument where it is something else.

    Args:
        arguments: of the command line.
        conf: the folder.

    Raises:
        GanAugError: naming the argument, and what there is to choose from.
    """
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key in _FOLDERS and value.strip("'\"") in ("", "null"):
            raise GanAugError(f"{argument}: names no folder; write {key}=DIR")
        if argument.startswith("~"):
            _check_deletion(argument, key[1:], conf)
        elif equals and (conf / _group(key)).is_dir() and not _are_names(argument):
            raise GanAugError(f"{argument}: is no name; {_choose(key.lstrip('+'), conf)}")


def _check_deletion(argument: str, key: str, conf: Path) -> None:
    chosen_by = key if key in _CHOSEN_BY.values() else _CHOSEN_BY.get(key)
    if chosen_by is not None:
        raise GanAugError(f"{argument}: the command needs it; {_choose(chosen_by, conf)}")
    if key == "arms":
        raise GanAugError(f"{argument}: a study needs arms; leave one out with '~arms.NAME'")
    if key in _MAPPINGS:
        raise GanAugError(f"{argument}: the command needs it; leave this argument out")


def _group(key: str) -> str:
    return key.lstrip("+").partition("@")[0]


def _are_names(argument: str) -> bool:
    try:
        (override,) = OverridesParser.create().parse_overrides([argument])
        value: Any = override.value()
    except OverrideParseException:
        return True  # Hydra says what it is
    values = value.list if isinstance(value, ChoiceSweep) else [value]
    return all(isinstance(one, str | list | Glob | QuotedString) for one in values)


def _choose(key: str, conf: Path) -> str:
    appended = key not in _CHOSEN_BY.values() and not re.search("[@/]", key)  # study, experiment
    sign = "+" if appended else ""
    return f"choose one of {', '.join(_options(key, conf))}, as {sign}{key}=NAME"


def _options(key: str, conf: Path) -> list[str]:
    files = sorted((conf / _group(key)).glob("*.yaml"))
    if "classifier" in key:
        files = [path for path in files if "kind: classifier" in path.read_text()]
    names = [path.stem for path in files]
    return [name for name in names if not name.endswith("base")] or names


def check_shape(cfg: DictConfig, conf: Path) -> None:
    """Check that every group of settings in a composed configuration is one.

    Args:
        cfg: the configuration; what a command has no use for may be absent.
        conf: the folder of configurations.

    Raises:
        GanAugError: naming the group, what stands in its place, and how it is chosen.
    """
    _refuse_nul(OmegaConf.to_container(cfg, resolve=False), "")
    for node in (*_CHOSEN_BY, *_MAPPINGS):
        value = _value(cfg, node)
        if isinstance(value, DictConfig):
            continue
        chosen_by = _CHOSEN_BY.get(node)
        if chosen_by is None:
            raise GanAugError(f"{_shown(node, value)}: {_one_by_one(node)}")
        if value in _options(chosen_by, conf):
            raise GanAugError(f"{_shown(node, value)}: is chosen by {chosen_by}={value}")
        raise GanAugError(
            f"{_shown(node, value)}: is no group of settings; {_choose(chosen_by, conf)}"
        )
    for name, arm in (_value(cfg, "arms") or {}).items():
        for inner in _OF_AN_ARM if isinstance(arm, DictConfig) else ():
            if not isinstance(value := _value(arm, inner), DictConfig):
                node = f"arms.{name}.{inner}"
                raise GanAugError(f"{_shown(node, value)}: {_one_by_one(node)}")


def _refuse_nul(value: Any, key: str) -> None:
    """Refuse a character that no name of a file can have; it can come from a file of settings."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _refuse_nul(inner, f"{key}.{name}")
    elif isinstance(value, str) and "\0" in value:
        raise GanAugError(f"{key[1:]}={value!r}: holds a NUL character; leave it out")


def _value(cfg: DictConfig, node: str) -> Any:
    """Return what stands at a node; an empty group where there is no such node."""
    above, _, name = node.rpartition(".")
    parent = OmegaConf.select(cfg, above) if above else cfg
    there = isinstance(parent, DictConfig) and name in list(parent)
    return OmegaConf.select(parent, name) if there else OmegaConf.create()


def _shown(node: str, value: object) -> str:
    return f"{node}={as_typed(value)}"


def _one_by_one(node: str) -> str:
    return f"holds several settings; write {node}.KEY=VALUE for one of them, or leave it out"


def quoting_of_package(argument: str) -> str | None:
    """Say what is wrong with GROUP@PACKAGE=NAME whose package has letters that no key can have."""
    key, _, value = argument.partition("=")
    group, at, package = key.partition("@")
    if not at or re.fullmatch(r"[\w.:-]+", package):
        return None
    sound = re.sub(r"[^\w.:-]+", "_", package)
    return (
        f"{argument}: {package} is no name of a setting (an arm's names files, and holds no /); "
        f"write {group}@{sound}={value}"
    )
