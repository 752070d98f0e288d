"""Names and messages of files on a terminal: nothing is swallowed, and nothing is a command."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.table import Table

from gan_aug.runtime.errors import warn
from gan_aug.runtime.progress import track
from gan_aug.runtime.terminal import console, printable


def test_brackets_and_colons_are_text() -> None:
    out = io.StringIO()
    table = Table("[bold]x", title="[A] :warning:")
    table.add_row("[/red] [kid]")
    console(file=out, width=80).print(table)
    for part in ("[bold]x", "[A] :warning:", "[/red] [kid]"):
        assert part in out.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udcff", r"\udcff"),
        ("폐렴 (1) é", "폐렴 (1) é"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_warning_obeys_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    warn("\x1b[2J\x1b]0;title\x07.png: cannot be read\nand more")
    assert capsys.readouterr().err == (
        "warning: \\x1b[2J\\x1b]0;title\\x07.png: cannot be read and more\n"
    )


def test_progress_shows_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    terminal = console(file=out, force_terminal=True, width=100)
    monkeypatch.setattr("gan_aug.runtime.progress.console", lambda **_: terminal)
    assert list(track(range(2), "Reading [A]", 2)) == [0, 1]
    assert "Reading [A]" in out.getvalue()


def test_consoles_are_made_in_one_place() -> None:
    """A rich Console made by hand would take [A] for a style and leave it out."""
    import gan_aug

    root = Path(gan_aug.__file__).parent
    made = [p.name for p in root.rglob("*.py") if " Console(" in p.read_text()]
    assert made == ["terminal.py"]
