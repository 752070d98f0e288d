"""docs/how-to/when_it_stops.md quotes what commands say."""

from __future__ import annotations

import re

from support import ROOT

PAGE = ROOT / "docs" / "how-to" / "when_it_stops.md"
LEAST = 20
"""Letters in a row of a line that must stand in the source; what is between them is filled in."""


def test_the_lines_are_those_that_commands_print() -> None:
    sources = (path.read_text() for path in (ROOT / "src" / "gan_aug").rglob("*.py"))
    source = re.sub(r'"\s*\n\s*f?"', "", "\n".join(sources))  # a text of several literals
    lines = re.findall(r"^(?:error|warning): (.*)$", PAGE.read_text(), flags=re.M)
    assert len(lines) > 30

    def is_said(line: str) -> bool:
        return any(line[i : i + LEAST] in source for i in range(0, len(line) - LEAST + 1, 4))

    assert [line for line in lines if not is_said(line)] == []


def test_error_lines_can_name_their_paragraph() -> None:
    """By the names that they end with: (see docs: when_it_stops#patients)."""
    headings = re.findall(r"^## (.*)$", PAGE.read_text(), flags=re.M)
    assert {one.lower().replace(" ", "-") for one in headings} >= {
        *("patients", "classes", "two-classes", "too-few", "multi-label", "held-out"),
        *("checkpoint", "settings", "stopped", "disk"),
    }
