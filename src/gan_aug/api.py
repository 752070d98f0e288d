"""The commands for Python, in a notebook say: `gan_aug.run("study", [...])`."""

from __future__ import annotations

import html
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gan_aug.runtime.errors import GanAugError, require

if TYPE_CHECKING:
    import pandas as pd

_PAGES = ("report.html", "explain.html", "inspect.html")
_TABLES = ("results.csv", "quality.csv", "metrics.csv")
_FIGURES = ("figures/*.png", "samples/*.png", "*.png")
_PAGE_HEIGHT = 800
"""Pixels that a page takes in a notebook; it scrolls."""


@dataclass(frozen=True)
class Result:
    """What a command has left in a folder; a notebook shows its page, if it has one.

    `Result(folder)` reads what an earlier command has left, without running it again.

    Attributes:
        folder: of a study or its report the study's folder, of `generate` and `export` the
            `output_dir`, of other commands the run's folder.
    """

    folder: Path

    @property
    def page(self) -> Path | None:
        """The page that `study`, `report`, `explain` or `inspect` wrote; None: there is none."""
        return next(filter(Path.is_file, (self.folder / name for name in _PAGES)), None)

    @property
    def figures(self) -> list[Path]:
        """The figures, as PNG files: of a report, of a GAN's samples, of a classifier's errors."""
        return [path for pattern in _FIGURES for path in sorted(self.folder.glob(pattern))]

    @property
    def metrics(self) -> pd.DataFrame:
        """The table of metrics; pandas is loaded when this is asked for.

        Of `study` and `report` it is `results.csv`, a row for each fit. Of `evaluate` it is
        `quality.csv`. Of `train` it is `metrics.csv`, with the columns batch, name and value.

        Raises:
            GanAugError: the command left no table, or pandas is not installed.
        """
        table = next(filter(Path.is_file, (self.folder / name for name in _TABLES)), None)
        if table is None:
            raise GanAugError(
                f"{self.folder}: holds no table of metrics ({', '.join(_TABLES)}); study, report, "
                "evaluate and train leave one when they have finished"
            )
        require("pandas", "metrics")
        import pandas as pd

        return pd.read_csv(table)

    def _repr_html_(self) -> str | None:
        """Return the page for a notebook, in a frame: its styles are not those of the notebook."""
        if self.page is None:
            return None
        page = self.page.read_text(encoding="utf-8")
        # Else links within the page would open the notebook itself in the frame.
        page = html.escape(page.replace("<head>", '<head><base href="about:srcdoc">', 1))
        style = f"width: 100%; height: {_PAGE_HEIGHT}px; border: 1px solid #ccc"
        # The folder may come from anyone: no script of its page may run in the notebook's name.
        safe = 'sandbox="allow-same-origin"'  # with an origin its own links work
        return f'<iframe srcdoc="{page}" {safe} style="{style}"></iframe>'


def run(command: str, arguments: Sequence[str] = ()) -> Result:
    """Run a command in this process, just as the command line does.

    `gan_aug.run("train", ["+experiment=dcgan_pneumonia", "data=phantom"])` is
    `gan-aug train +experiment=dcgan_pneumonia data=phantom`: the settings are composed and checked
    alike, and the files and numbers are the same. What the command prints is printed here. With
    "-m" among the arguments it runs many jobs, each in a process of its own.

    Args:
        command: train, generate, evaluate, study, report, inspect, explain, export or status.
        arguments: what stands after the command on the command line, without a shell's quotes;
            ["-m", "+study=own", "draw=range(0,10)"], for example.

    Returns:
        The folder of what the command has left, and what is in it.

    Raises:
        GanAugError: bad input, or a run that cannot go on. The message is the line that the
            command line prints.
        KeyboardInterrupt: it was stopped by hand. The same call goes on from there.
    """
    from gan_aug.settings.commands import COMMANDS

    if command not in COMMANDS:
        raise GanAugError(f"{command}: is no command; choose one of {', '.join(COMMANDS)}")
    if isinstance(arguments, str):
        raise GanAugError(
            f"{arguments}: is no list; write each argument by itself, [{arguments!r}]"
        )
    module = importlib.import_module(f"gan_aug.{command}")
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"gan_aug.{command}.__main__")
    return Result(module.main.run(arguments))
