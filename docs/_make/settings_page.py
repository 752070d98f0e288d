"""The page of all settings, from the models of gan_aug.settings and the comments of conf/.

A model says what a setting may hold, conf/ its default. A key of conf/ that no model names (an
argument of a class that Hydra builds) has a row too, with its comment for a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from gan_aug.runtime.errors import as_typed
from gan_aug.settings.commands import COMMANDS, kind_of
from gan_aug.settings.groups import conf_dir
from gan_aug.settings.models import ClassifierSettings, FixedStepsClassifier
from gan_aug.settings.values import MEANINGS
from gan_aug.settings.wording import in_words

CONF = conf_dir()
_ARM, _CHANGES = "arms.NAME", "arms.NAME.augment"
PLACES = {
    "data": "data", "model": "model", "trainer": "trainer", "callbacks": "callbacks",
    "logger": "logger", "quality": "quality", "extractor": "quality.extractor",
    "metric": "quality.metrics.NAME", "arm": _ARM, "augment": _CHANGES,
    "learner": f"{_ARM}.learner", "gan_augment": "model.augment",
    "hydra/launcher": "hydra.launcher", "hydra/sweeper": "hydra.sweeper",
}  # fmt: skip
"""Folders of conf/, and the keys under which their files are typed."""
SECTIONS = {
    "": ("The command", "What belongs to one command. The column Command names it."),
    "data": ("Images", "Every command that reads a data set has these, as `data.KEY=`."),
    "model": (
        "GANs and other generators",
        "What `train` and `study` fit, as `model.KEY=`. `model=large/NAME` has the papers' widths.",
    ),
    "classifier": (
        "Classifiers",
        "Of a study as `classifier.KEY=`, of `train` with a classifier as `model.KEY=`, of the "
        "reference classifier as `quality.classifier.KEY=`.",
    ),
    "trainer": (
        "Trainer, callbacks, loggers",
        "Any other argument of Lightning's trainer may be added: `+trainer.KEY=VALUE`.",
    ),
    "study": ("Studies", "What all draws of a study share, as `study.KEY=`."),
    "arms": ("Arms", "Of an arm that is called NAME, as `arms.NAME.KEY=`."),
    "quality": ("Quality of generated images", "How generated images are measured."),
    "hydra": ("Many jobs", "How the jobs of a multirun (`-m`) are chosen and started."),
}
"""Title and first line of what begins with a key."""
_JOINS = {"callbacks": "trainer", "logger": "trainer"}
_WIRING = {"defaults", "hydra", "kind", "module", "_target_", "_partial_", "_recursive_"}
"""Keys of conf/ that say how the parts fit together."""
_ONE_VALUE = {"condition", "count", "gate", "good", "subset"}
"""Mappings that are one setting."""
_SHORTER = {
    'the path of a file or folder, as text (in quotes where it is a number: "5")': "a path",
    MEANINGS: "draw, nothing or unknown",
}
CHOICES = {
    "data": "data=", "model": "model=", "model/large": "model=large/", "model/published":
    "model=published/", "trainer": "trainer=", "logger": "logger=", "experiment": "+experiment=",
    "study": "+study=", "arm": "+arm@arms.NAME=", "augment": "augment@arms.NAME.augment=",
    "learner": "learner@arms.NAME.learner=", "gan_augment": "gan_augment@model.augment=",
    "extractor": "extractor@quality.extractor=", "protocol": "protocol=", "debug": "+debug=",
    "hydra/launcher": "hydra/launcher=", "hydra/sweeper": "hydra/sweeper=",
}  # fmt: skip
"""Folders of conf/, and how one of their files is chosen."""


@dataclass
class Row:
    """A setting: its key, what it may be and means, and its value in each file that has it."""

    key: str
    may_be: str = ""
    means: str = ""
    of_some: bool = False
    default_of_model: str = ""
    values: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)

    @property
    def section(self) -> str:
        """The key of SECTIONS that it belongs to."""
        first = self.key.partition(".")[0]
        first = _JOINS.get(first, first)
        return first if first in SECTIONS and "." in self.key else ""

    def default(self) -> str:
        """Return its value in conf/, and those that differ with the names of their files."""
        if sum(name == value for name, value in self.values.items()) > 2:
            return "the name of the choice"
        by_value: dict[str, list[str]] = {}
        for name, value in self.values.items():
            by_value.setdefault(value, []).append(name)
        if len(by_value) == 1 and (self.commands or _is_base([*self.values])):
            return _code(next(iter(by_value)))
        if not by_value:
            return _code(self.default_of_model)
        return "; ".join(
            _code(value) + ("" if _is_base(names) else f" ({', '.join(names)})")
            for value, names in by_value.items()
        )

    def cells(self) -> list[str]:
        """Return its row of a table."""
        may_be = self.may_be
        for text, shorter in _SHORTER.items():
            may_be = may_be.replace(text, shorter)
        of = [", ".join(dict.fromkeys(self.commands))] if self.section == "" else []
        return [
            f"`{self.key}=`",
            *of,
            _plain(may_be),
            self.default(),
            _plain(_sentence(self.means)),
        ]


def _is_base(names: list[str]) -> bool:
    return bool({"base", "gan_base", "classifier_base", "default"} & {*names})


def _code(text: str) -> str:
    if text == "???":
        return "must be typed"
    return f"`{text}`".replace("|", "\\|") if text else ""


def _plain(text: str) -> str:
    """Return text for a cell of a table, in which no sign is Markdown's."""
    return re.sub(r"([*_|<\[\]])", r"\\\1", text) if "`" not in text else text.replace("|", "\\|")


def _sentence(text: str) -> str:
    is_name = re.match(r"(null|true|cpu|one|sbatch)\b|\w*[A-Z]", text)
    return text if is_name else text[:1].upper() + text[1:]


@cache
def leaves(path: Path) -> dict[str, tuple[str, str]]:
    """Return the settings of a file of conf/ with value and comment."""
    text = path.read_text("utf-8")
    chosen = re.findall(r"/gan_augment@(\w+): (\w+)", text)  # in a list of defaults
    found = dict(_leaves(yaml.compose(text), "", text.splitlines()))
    return found | {key: (name, "") for key, name in chosen}


def _leaves(node: Any, prefix: str, lines: list[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    for key, value in node.value:
        if key.value in _WIRING:
            continue
        inner = isinstance(value, yaml.MappingNode) and value.value
        if inner and key.value not in _ONE_VALUE:
            yield from _leaves(value, f"{prefix}{key.value}.", lines)
            continue
        comment = re.search(r"\s#\s+(.*)$", lines[value.end_mark.line])
        yield f"{prefix}{key.value}", (_typed(lines, value), comment[1] if comment else "")


def _typed(lines: list[str], value: Any) -> str:
    if isinstance(value, yaml.ScalarNode):
        return str(value.value)
    return lines[value.start_mark.line][value.start_mark.column : value.end_mark.column]


def about(path: Path) -> str:
    """Return the first sentence of what a file of conf/ says of itself, or an arm's title."""
    text = path.read_text("utf-8")
    if title := re.search(r"^title: (.*)", text, re.MULTILINE):
        return _sentence(title[1])
    said: list[str] = []
    for line in text.splitlines():
        if not line.startswith("# ") or line.startswith("#  ") or line.startswith("# @"):
            if said:
                break
        else:
            said.append(line[2:])
    first = re.split(r"(?<! al)\. ", " ".join(said), maxsplit=1)[0]
    return first if first.endswith("?") else first.rstrip(".") + "."


def _files() -> Iterator[tuple[str, Path]]:
    """Yield the files of conf/ that set defaults, with their folders; bases first."""
    for folder in PLACES:
        paths = sorted((CONF / folder).glob("*.yaml"))
        for path in sorted(paths, key=lambda path: "base" not in path.stem):
            if folder != "arm" or path.stem == "base":
                yield folder, path


def _models(schema: Any) -> Iterator[tuple[str, str]]:
    """Yield names of the models that a value may be, and what its key has before theirs."""
    if "$ref" in schema:
        yield schema["$ref"].rpartition("/")[2], ""
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _models(one)
    for inner, between in (("additionalProperties", ".NAME"), ("items", "[...]")):
        if isinstance(schema.get(inner), dict):
            yield from ((name, between) for name, _ in _models(schema[inner]))


def _walk(schema: Any, defs: Any, prefix: str, seen: set[str]) -> Iterator[Row]:
    """Yield a row for each setting of a model, those of inner groups after their own."""
    for name, value in schema["properties"].items():
        key, inner = f"{prefix}{name}", list(_models(value))
        if name in _WIRING or key in ("callbacks", "logger"):  # of which only conf/ knows more
            continue
        if key != "arms" and (not inner or "wanted" in value or "anyOf" in value):
            default = as_typed(value["default"]) if "default" in value else ""
            of_some = "own" in value
            yield Row(key, in_words(value), value.get("description", ""), of_some, default)
        for model, between in inner:
            place = "classifier" if model == ClassifierSettings.__name__ else key
            known = f"{place.partition('.')[0]} {model}"
            if model != FixedStepsClassifier.__name__ and known not in seen:
                seen.add(known)
                yield from _walk(defs[model], defs, f"{place}{between}.", seen)


def rows() -> list[Row]:
    """Return all settings, each once."""
    found: dict[str, Row] = {}
    for command in COMMANDS:
        schema = kind_of(command).model_json_schema()
        for row in _walk(schema, schema.get("$defs", {}), "", set()):
            key = row.key
            if "." not in key and found.get(key, row).means != row.means:
                key = f"{key} {command}"  # the same word, another meaning
            found.setdefault(key, row).commands.append(command)
    for folder, path in _files():
        kind = re.search(r"^kind: classifier", path.read_text("utf-8"), re.MULTILINE)
        place = "classifier" if folder == "model" and kind else PLACES[folder]
        for key, said in leaves(path).items():
            _add(found, f"{place}.{key}", path.stem, said)
    for command in COMMANDS:
        for key, said in leaves(CONF / f"{command}.yaml").items():
            _add(found, f"{key} {command}" if f"{key} {command}" in found else key, command, said)
    for path in sorted((CONF / "study").glob("*.yaml")):
        for key, said in leaves(path).items():
            if key.startswith("study.") and (key not in found or not found[key].commands):
                _add(found, key, f"+study={path.stem}", said)
    for key, said in _of_the_protocol():
        _add(found, key, "protocol=original", said)
    return [row for row in found.values() if row.values or not row.of_some]


def _of_the_protocol() -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the numbers of images as the original project had them."""
    name = "original_chest_xray.yaml"
    for key, said in leaves(CONF / "protocol" / "draw" / name).items():
        yield f"data.{key}", said
    counts = leaves(CONF / "protocol" / "count" / name)
    yield "study.count", (f"{{{', '.join(f'{k}: {n}' for k, (n, _) in counts.items())}}}", "")


def _add(found: dict[str, Row], key: str, name: str, said: tuple[str, str]) -> None:
    value, comment = said
    if key not in found and (value.startswith("${") or key == "arms"):
        return  # how the parts fit together: it takes its value from a setting
    row = found.setdefault(key, Row(key.partition(" ")[0]))
    row.means = row.means or comment
    row.values[name] = value


def _table(*lines: list[str]) -> str:
    head, *rest = lines
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rest))


def page() -> str:
    """Return the page, in Markdown."""
    found = rows()
    parts = [INTRODUCTION]
    for first, (title, line) in SECTIONS.items():
        head = ["Setting", *(["Command"] if first == "" else []), "May be", "Default", "Meaning"]
        of = [row.cells() for row in found if row.section == first]
        parts += [f"## {title}", line, _table(head, *of)]
    parts += ["## Choices", CHOSEN]
    for folder, typed in CHOICES.items():
        paths = [p for p in sorted((CONF / folder).glob("*.yaml")) if not p.stem.endswith("base")]
        of = [[f"`{typed}{path.stem}`", _plain(about(path))] for path in paths]
        parts += [f"### `{typed}`", _table(["Choice", "What it is"], *of)]
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """\
# Settings

Every setting is typed as `KEY=VALUE`, after the command. Each stands here once. The page is made
from the code that checks the settings, and from the files of `conf/` that hold the defaults.

- A default in brackets belongs to the choice or command that is named beside it.
- `null` means "not set". A list is typed as `[a,b]`, a mapping as `{a: 1}`. Put both in quotes for
  the shell.
- `${...}` takes the value of another setting.
- A key that is not there yet is added with a `+`: `+trainer.gradient_clip_val=1`.
- `hydra.run.dir=DIR` names the folder of a run, `hydra.sweep.dir=DIR` that of a multirun.
- A wrong value ends the command with one line, before anything is computed.
- `protocol=original` applies to the data sets `chest_xray`, `phantom` and `pneumoniamnist` alone.
  It is the default of `study` and `export`, and of the experiments with X-rays.

A [choice](#choices) sets many values at once. What you type beside it counts."""
CHOSEN = """\
Each of these sets a group of settings at once. A file of your own in `conf/` is one more choice.
`model@classifier=` chooses the classifier of a study, `model@quality.classifier=` the reference
classifier. Both take the classifiers that stand below."""
