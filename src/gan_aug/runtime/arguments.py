r"""What is typed after a command, as Hydra's grammar takes it (facebookresearch/hydra 1.3).

It has no Korean letters, and needs quotes around much that people type: data.root=데이터
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, QuotedString
from hydra.errors import HydraException

from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.run_record import runs_of
from gan_aug.settings.groups import CHOSEN_BY, choose, conf_dir, folder_of

_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")
_COUNTS = r"(?:data\.subset|study\.count|arms\.[^.=]+\.added\.count)"
_ONE_CLASS = re.compile(
    rf"\+*(?P<key>{_COUNTS}|study\.ruler|arms\.[^.=]+\.real)\.(?P<name>[^=]+)=(?P<value>.*)"
)
_KEY = re.compile(r"[A-Za-z_]\w*|0|[1-9]\d*", re.ASCII)
_NAMES = (
    r"(data\.(positive|train_class|classes|columns)|model\.pair|study\.(rare|ruler|endpoints)|"
    r"arms\.[^.=]+\.real)"
)
"""Settings that count by class, and others that name classes, or columns of a table."""
_NO_SETTING = "is no setting; write KEY=VALUE, as in data.root=DIR"
_WORDS = re.compile(r"[\w ./~-]+")
"""A name or path with no mark that Hydra's grammar reads."""
_NEEDED = re.compile(
    r"generate|synthetic|study(\.question|\.condition)?|data\.(source|synthetic)|"
    r"(model|classifier)\.module|quality\.(metrics|gate)"
)
"""Groups that are chosen from nowhere, and that no command can do without."""


def for_hydra(typed: list[str], to_go_on: str) -> list[str]:
    """Return what stands after the command as Hydra takes it, or refuse it, naming what to write.

    `to_go_on`, what a user does after the command was stopped, names `resume=` where there is it.
    """
    arguments = _with_options_first([_in_grammar(argument) for argument in joined(typed)], typed)
    for argument in arguments:
        _check(argument)
        if argument.lstrip("+").startswith("resume=") and "resume=" not in to_go_on:
            raise GanAugError(f"{argument}: is no setting of this command; {to_go_on}, without it")
    return _with_folder_to_resume(arguments)


def with_list(arguments: list[str], key: str) -> list[str]:
    """Return arguments in which the values of a sweep over `key` are a list, for one process.

    Raises:
        GanAugError: another setting has several values.
    """
    kept = []
    for argument in arguments:
        if argument in ("-m", "--multirun"):
            continue
        override = _parsed(argument)
        if override is not None and override.is_sweep_override():
            if override.key_or_group != key:
                raise GanAugError(
                    f"{argument}: this command takes several values of {key} alone; repeat it for "
                    "each"
                )
            argument = f"{key}=[{','.join(override.sweep_string_iterator())}]"
        kept.append(argument)
    return kept


def typed_settings() -> frozenset[str]:
    """Return the keys and groups that this job's command line names: data, data.root ..."""
    overrides = list(HydraConfig.get().overrides.task)
    parsed = OverridesParser.create().parse_overrides(overrides)
    return frozenset(override.key_or_group for override in parsed)


def quoted(key: str, value: object) -> str:
    """Return KEY="VALUE" as Hydra's grammar takes any value."""
    # Its only escapes are backslashes before a quote.
    text = re.sub(r'(\\*)("|$)', lambda m: 2 * m[1] + ('\\"' if m[2] else ""), str(value))
    return f'{key}="{text}"'


def quoting(argument: str) -> str:
    """Say how to write an argument that Hydra's grammar refuses."""
    key, equals, value = argument.partition("=")
    group, at, package = key.partition("@")
    if at and not re.fullmatch(r"[\w.:-]+", package):
        sound = re.sub(r"[^\w.:-]+", "_", package)
        return (
            f"{argument}: {package} is no name of a setting (an arm's names files, and holds no "
            f"/); write {group}@{sound}={value}"
        )
    if not equals or not key.isascii() or " " in key:
        return f"{argument}: {_NO_SETTING}"
    return (
        f"{argument}: its value has letters that need quotes (spaces, ' = {{ }} and the "
        f"like), or lacks a closing bracket; type {shlex.quote(quoted(key, value))}"
    )


def _with_options_first(arguments: list[str], typed: list[str]) -> list[str]:
    """Put -m in front, and refuse unknown options in one line; argparse would print its usage."""
    # It also takes no settings on both sides of an option.
    multirun = [a for a in arguments if a in ("-m", "--multirun")]
    ordered = [*multirun, *(a for a in arguments if a not in multirun)]
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        dashed = re.search(r"--?(\w[\w.@/]*=.*)", message)
        remedy = f"a setting has no dashes: {dashed[1]}" if dashed else "--help lists what there is"
        raise GanAugError(f"{message}; {remedy}")

    parser.error = refuse  # type: ignore[method-assign]
    _check_is_setting(parser.parse_args(ordered).overrides, typed)
    return ordered


def _check_is_setting(overrides: list[str], typed: list[str]) -> None:
    """Check that each is KEY=VALUE; what is not may be the rest of a value that needs quotes."""
    for argument in overrides:
        if "=" in argument or argument.startswith("~") or argument not in typed:
            continue
        end = start = typed.index(argument)
        while end < len(typed) and re.match("=|[^-=][^=]*$", typed[end]):
            end += 1
        before, after = typed[:start][-1:], typed[start + 1 :][:1]
        if before and re.match("[^-+=]+=", before[0]) and after[:1] != ["="]:
            start -= 1
        whole = re.sub(" *= *", "=", " ".join(typed[start:end]), count=1)
        hint = f"; if it belongs together, type {shlex.quote(whole)}" if "=" in whole else ""
        raise GanAugError(f"{argument}: {_NO_SETTING}{hint}")


def _check(argument: str) -> None:
    """Check that what is chosen from conf/ is a name, and not taken away: Hydra names neither."""
    key, equals, value = argument.partition("=")
    if equals and key in _FOLDERS and value.strip("'\"") in ("", "null"):
        raise GanAugError(f"{argument}: names no folder; write {key}=DIR")
    if argument.startswith("~"):
        group = key[1:]
        chosen_by = group if group in CHOSEN_BY.values() else CHOSEN_BY.get(group)
        if chosen_by is not None:
            raise GanAugError(f"{argument}: the command needs it; {choose(chosen_by)}")
        if group == "arms":
            raise GanAugError(f"{argument}: a study needs arms; leave one out with '~arms.NAME'")
        if _NEEDED.fullmatch(group):
            raise GanAugError(f"{argument}: the command needs it; leave this argument out")
    elif equals and (conf_dir() / folder_of(key)).is_dir() and not _are_names(argument):
        raise GanAugError(f"{argument}: is no name; {choose(key.lstrip('+'))}")


def _parsed(argument: str) -> Override | None:
    """Return what Hydra takes an argument for; None: an option, or Hydra says what is wrong."""
    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException:
        return None


def _are_names(argument: str) -> bool:
    if (override := _parsed(argument)) is None:
        return True
    value: Any = override.value()
    values = value.list if isinstance(value, ChoiceSweep) else [value]
    return all(isinstance(one, str | list | Glob | QuotedString) for one in values)


def joined(arguments: list[str]) -> list[str]:
    """Return arguments in which KEY.CLASS=VALUE is part of a mapping, where Hydra needs that.

    Its keys have no Korean letters, spaces or dots, and one would take the place of KEY={...}.
    """
    single: dict[str, dict[int, str]] = {}
    for i, argument in enumerate(arguments):
        if one := _ONE_CLASS.fullmatch(argument):
            single.setdefault(one["key"], {})[i] = one["name"]
    kept: list[str | None] = [*arguments]
    for key, names in single.items():
        whole = [i for i, argument in enumerate(arguments) if argument.startswith(f"{key}={{")]
        parts = {i: arguments[i].partition("=")[2].strip() for i in sorted([*whole, *names])}
        are_keys = re.fullmatch(_COUNTS, key) and all(map(_KEY.fullmatch, names.values()))
        if (are_keys and not whole) or any(len(_choices(part)) > 1 for part in parts.values()):
            continue
        inner = [
            "'{}': {}".format(names[i].replace("'", "''"), part) if i in names else part[1:-1]
            for i, part in parts.items()
        ]
        for i in parts:
            kept[i] = None
        kept[max(parts)] = f"{key}={{{', '.join(inner)}}}"
    return [argument for argument in kept if argument is not None]


def _in_grammar(argument: str) -> str:
    r"""Return an argument that Hydra's grammar takes, where it is clear what is meant.

    data.subset.CLASS=N may name any class: which there are, only the data set knows. A mapping
    takes the place of the one there was and may name classes in any letters, as data.positive=NAME
    may. data.patient_regex=(\d+)_.* may be typed as it is, and a name or path in any letters too.
    """
    key, _, value = argument.partition("=")
    if re.fullmatch(rf"{_COUNTS}\.[^.]+", key) and key.isascii():
        return f"++{argument}"
    bare = key.lstrip("+")
    counts = re.fullmatch(_COUNTS, bare) and value.startswith("{")
    if counts or (re.fullmatch(_NAMES, bare) and not _is_grammatical(argument)):
        # As text, which replaces a mapping that was there; of a sweep there are several.
        return f"{key}=" + ",".join(quoted("", choice)[1:] for choice in _choices(value))
    if key == "data.patient_regex" and value != "null" and value[:1] not in ("'", '"'):
        return quoted(key, value)
    if value.startswith("~/"):  # shells expand it in VALUE alone, not in KEY=VALUE
        several, value = "," in value, os.path.expanduser(value)
        argument = f"{key}={value}"
        if not several and ("," in value or _parsed(argument) is None):  # a home of any letters
            return quoted(key, value)
    if key.isascii() and not value.isascii() and _WORDS.fullmatch(value):
        return quoted(key, value)
    return argument


def _is_grammatical(argument: str) -> bool:
    """Tell whether Hydra takes it, and keeps the keys of a mapping as they were typed."""
    if (override := _parsed(argument)) is None:
        return False
    value = override.value()
    return not isinstance(value, dict) or all(isinstance(key, str) for key in value)


def _choices(value: str) -> list[str]:
    """Return the choices of a sweep: what stands between commas that no bracket encloses."""
    choices, depth = [""], 0
    for letter in value:
        depth += (letter in "[{(") - (letter in "]})")
        if letter == "," and depth == 0:
            choices.append("")
        else:
            choices[-1] += letter
    return [choice.strip() for choice in choices]


def _with_folder_to_resume(arguments: list[str]) -> list[str]:
    """Point `resume=true` at the folder of the latest run of the same command under runs/."""
    given = any(a.partition("=")[0] in _FOLDERS for a in arguments)
    if "resume=true" not in [a.lower() for a in arguments] or given:
        return arguments
    latest = max(runs_of(arguments, Path("runs")), key=lambda run: run[0], default=None)
    if latest is None:
        raise GanAugError(
            "resume=true: no run of this command under runs/; repeat the command exactly, in the "
            "same folder, or name the run with hydra.run.dir=DIR"
        )
    _, folder, record = latest
    if record.sweep_folder is not None:
        return [*arguments, quoted("hydra.sweep.dir", record.sweep_folder)]
    return [*arguments, quoted("hydra.run.dir", folder)]
