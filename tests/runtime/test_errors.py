"""Packages that only some commands need are asked for in one line, and are in pyproject.toml.

And an error line names where the documentation says more.
"""

from __future__ import annotations

import sys
import tomllib
from contextlib import nullcontext

import pytest
from packaging.requirements import Requirement
from support import ROOT

from gan_aug.runtime.errors import EXTRA_OF, GanAugError, require, see

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def names_in(requirements: list[str]) -> set[str]:
    return {Requirement(text).name.replace("-", "_") for text in requirements}


@pytest.mark.parametrize(("module", "extra"), EXTRA_OF.items())
def test_each_module_is_brought_by_its_extra_alone(module: str, extra: str) -> None:
    # Of mlflow without its server the package is called otherwise.
    assert {module, f"{module}_skinny"} & names_in(EXTRAS[extra])
    assert module not in names_in(PROJECT["dependencies"])


def test_all_takes_every_extra() -> None:
    (everything,) = (Requirement(text) for text in EXTRAS["all"])
    assert everything.extras == EXTRAS.keys() - {"all", "dev", "docs"}


def test_a_missing_module_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    require("captum", "explain")
    monkeypatch.setitem(sys.modules, "captum", None)  # import raises, installed or not
    line = r"^explain: needs the package captum, .*; pip install 'gan_aug\[explain\]'$"
    with pytest.raises(GanAugError, match=line):
        require("captum", "explain")


def test_the_innermost_paragraph_of_the_documentation_counts() -> None:
    @see("settings")
    def checked(inner: str | None) -> None:
        with see(inner) if inner else nullcontext():
            raise GanAugError("x=1: is wrong")

    for inner, expected in (("classes", "classes"), (None, "settings")):
        with pytest.raises(GanAugError, match="is wrong") as caught:
            checked(inner)
        assert caught.value.paragraph == expected
