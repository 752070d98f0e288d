"""Every command gives the numbers that it gave before: run this before and after each change.

    python -m pytest tests/golden -m slow -q        # about a minute of one core

`golden.json` names the machine that it was made on. On one of the same kind (processor, torch,
numpy ...) all numbers must be the same bit for bit, hashes of weights, predictions and images among
them. On another kind torch rounds otherwise, and numbers must agree to 1 in 1000: those made with
SSE instead of AVX do, but for a CycleGAN's and those of maps, where training or an argmax carries a
last bit further.

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


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("study paired", "explain")])
def test_nearly_the_same_on_any_machine(command: str, now: dict[str, Any]) -> None:
    kept, found = of(command, GOLDEN["numbers"]), of(command, now)
    assert found.keys() == kept.keys()
    for title, value in kept.items():
        if isinstance(value, float):
            assert found[title] == pytest.approx(value, rel=1e-3, abs=1e-3), title
