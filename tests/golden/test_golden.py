"""Every command gives the numbers that it gave before: run this before and after each change.

    python -m pytest tests/golden -m slow -q        # about a minute of one core

`golden.json` names the machine that it was made on. On one of the same kind (processor, torch,
numpy ...) all numbers must be the same bit for bit, hashes of weights, predictions and images among
them. On another kind torch may round otherwise, and these tests are skipped.

A number moves for a good reason only (a seed's purpose was renamed, say); then
`python tests/golden/make.py` writes the new ones, and the commit says why. Where a file or key is
called otherwise, change `Files` in make.py and no number.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from golden.make import KEPT, machine, make

pytestmark = pytest.mark.slow

GOLDEN = json.loads(KEPT.read_text())
COMMANDS = sorted({title.split(" | ")[0] for title in GOLDEN["numbers"]})


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    numbers: dict[str, Any] = make()["numbers"]
    return numbers


def of(command: str, numbers: dict[str, Any]) -> dict[str, Any]:
    return {t: value for t, value in numbers.items() if t.split(" | ")[0] == command}


@pytest.mark.skipif(machine() != GOLDEN["machine"], reason="made on another kind of machine")
@pytest.mark.parametrize("command", COMMANDS)
def test_bit_for_bit(command: str, now: dict[str, Any]) -> None:
    kept, found = of(command, GOLDEN["numbers"]), of(command, now)
    assert found == kept
