"""What people read, of anyone's files too: on a terminal, through a pipe, in a spreadsheet."""

from __future__ import annotations

import csv
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console

NOBODY_READS = 141
"""Exit code of a command that ends since nobody reads its output: 128 + SIGPIPE, as of `yes`."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula, whatever quotes stand around the cell."""
_NOISE = (
    "You passed in a `val_dataloader` but have no `validation_step`",
    "The number of training batches .* is smaller than the logging interval",
    "Found .* module.* in eval mode at the start of training",
    "You defined a `validation_step` but have no `val_dataloader`",
    "Metric `Kernel Inception Distance` will save all extracted features",
    "You're resuming from a checkpoint that ended before the epoch ended",
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",
    "The `srun` command is available on your system but is not used",
    "torch.searchsorted\\(\\): input value tensor is non-contiguous",
)
"""Library warnings that do not hold here, or that a user cannot act on."""


def printable(text: str) -> str:
    r"""Return text with what a terminal would take for a command written out, as in \x1b."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def console(**options: Any) -> Console:
    """Return a rich console to which [A] and :x: are text, neither styles nor pictures."""
    return Console(markup=False, emoji=False, **options)


def wide_console() -> Console:
    """Return one for tables: as wide as the terminal, else wide enough not to cut them.

    A log file has no width of its own; rich would take 80 columns.
    """
    terminal = console()
    return terminal if terminal.is_terminal else console(width=200)


def cell(text: str) -> str:
    """Return a text as a cell: behind an apostrophe where a spreadsheet would compute it.

    The rule for every CSV that a person may open. It is for texts: -0.5 as a number stays one.
    """
    return f"'{text}" if text.startswith(FORMULA) else text


def csv_of(*rows: Sequence[object]) -> str:
    """Return rows as a CSV that a person may open: every text is a `cell`."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(
        [cell(value) if isinstance(value, str) else value for value in row] for row in rows
    )
    return buffer.getvalue()


@contextmanager
def ends_with_its_reader() -> Iterator[None]:
    """End the process without a word where what it prints has no reader any more."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer would fail once more at Python's own end, with a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(NOBODY_READS)


def quieten() -> None:
    """Silence what libraries say that a user cannot act on."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in _NOISE:
        warnings.filterwarnings("ignore", message)
