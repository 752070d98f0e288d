"""The page of all commands, from their own help."""

from __future__ import annotations

import re
from itertools import groupby

import yaml

from gan_aug.__main__ import COMMANDS
from gan_aug.settings.groups import conf_dir

INTRODUCTION = """\
# Commands

`python -m gan_aug COMMAND` and `gan-aug COMMAND` are the same. A command takes its
[settings](settings.md) as `KEY=VALUE`, in any order.

| Command | What it does |
| --- | --- |
{table}

What all commands share:

- `--help` prints the text below and all settings with their values.
- `-m` starts a job for each combination of values: `draw=0,1` or `'draw=range(0,10)'`.
- `--cfg job` prints the settings that a command would run with, and runs nothing.
- `verbose=true` prints all settings before the start. `generate`, `report` and `status` do not
  have it.
- An error is one line on the terminal: which file or key, what is wrong, what to do.
  `HYDRA_FULL_ERROR=1` shows where in the code it arose.
- `eval "$(gan-aug completion)"` completes commands and settings in bash.

| Exit code | Meaning |
| --- | --- |
| 0 | Done. |
| 1 | Failed, or some job of several failed. |
| 3 | Only `status`: some job still waits or runs. |
| 130, 143 | Stopped by Ctrl-C, or by SIGTERM. Repeat the command; `train` with `resume=true`. |
| 141 | Nobody reads the output any more. |"""


def _said(text: str) -> str:
    """Return a help text in Markdown: commands, which are indented there, as code."""
    parts = []
    lines = text.strip("\n").split("\n")
    blank = [bool(line.strip()) for line in lines]
    indented = [line.startswith("  ") for line in lines]
    for (is_code, _), group in groupby(
        zip(lines, indented, blank, strict=True), key=lambda one: (one[1], one[2])
    ):
        block = "\n".join(line.removeprefix("  ") for line, *_ in group)
        fence = "```bash" if "python -m" in block else "```text"
        parts.append(f"{fence}\n{block}\n```" if is_code else block)
    return "\n".join(parts).strip()


def page() -> str:
    """Return the page, in Markdown."""
    table = "\n".join(f"| [`{name}`](#{name}) | {what} |" for name, what in COMMANDS.items())
    parts = [INTRODUCTION.format(table=table)]
    for name in COMMANDS:
        parts.append(f"## {name}")
        if (path := conf_dir() / f"{name}.yaml").exists():
            told = yaml.safe_load(path.read_text("utf-8"))["hydra"]["help"]
            parts += [
                _said(told["header"]),
                re.sub(r"\b(conf/\w+)", r"`\1`", told["footer"]).strip(),
            ]
    parts.append("```bash\npython -m gan_aug.demo\n```\n\nIt takes no settings, and needs no data.")
    return "\n\n".join(part for part in parts if part) + "\n"
