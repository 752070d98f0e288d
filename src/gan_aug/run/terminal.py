"""Text on a terminal: names and messages of files are shown as they are, and command nothing."""

from __future__ import annotations

from typing import Any

from rich.console import Console


def printable(text: str) -> str:
    r"""Return text with what a terminal would take for a command written out, as in \x1b."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def console(**options: Any) -> Console:
    """Return a rich console to which [A] and :x: are text, neither styles nor pictures.

    Args:
        **options: of `rich.console.Console`.
    """
    return Console(markup=False, emoji=False, **options)
