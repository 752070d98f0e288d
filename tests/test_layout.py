"""One place for each thing: imports point one way."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from support import ROOT

SOURCE = ROOT / "src" / "gan_aug"
ORDER = (
    "study", "arms", "report", "interpret", "inspection", "training", "evaluation", "models",
    "pages", "metrics", "data", "jobs", "runtime", "settings",
)  # fmt: skip
"""A folder imports those after it, never one before; the commands at the top import any."""
SHARED = "gan_aug.runtime.errors"
"""What every folder may import."""


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of what a file takes from gan_aug, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.startswith("gan_aug."))


def test_every_folder_has_its_place() -> None:
    assert {p.name for p in SOURCE.iterdir() if (p / "__init__.py").is_file()} == set(ORDER)


def test_imports_point_down() -> None:
    up = []
    for path in sorted(SOURCE.glob("*/**/*.py")):
        own = ORDER.index(path.relative_to(SOURCE).parts[0])
        for line, name in imports(path):
            other = name.split(".")[1]
            if other not in ORDER[own:] and not name.startswith(SHARED):
                up.append(f"{path.relative_to(SOURCE)}:{line} imports {name}")
    assert not up, "\n".join(up)


def test_the_layout_in_contributing_is_this_one() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"^  (\w+)/ ", text, flags=re.MULTILINE)
    assert named == list(ORDER)


def test_the_architecture_is_this_one() -> None:
    """Folders in their order, and no file that is not there."""
    text = (ROOT / "docs" / "method" / "architecture.md").read_text()
    start, end = text.index("## Folders"), text.index("## Adding things")
    _, *sections = text[start:end].split("\n### ")
    assert [section.split("/")[0] for section in sections] == list(ORDER)
    for folder, section in zip(ORDER, sections, strict=True):
        for name in re.findall(r"`(\w+\.py)`", section):
            assert [*(SOURCE / folder).rglob(name)], f"{folder}/{name}"
