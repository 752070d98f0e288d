"""Text in tables that spreadsheets open: names come from folders and files of anyone."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula, whatever quotes stand around the cell."""


def cell(text: str) -> str:
    """Return a text as a cell: behind an apostrophe where a spreadsheet would compute it.

    The rule for every CSV that a person may open. It is for texts: -0.5 as a number stays one.
    """
    return f"'{text}" if text.startswith(FORMULA) else text
