"""The pages of `inspect` and `explain` on a phone; that of `report` has its own test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pages_check import check_contents, wider_than_a_phone
from support import write_image

from gan_aug.interpret.command import render
from gan_aug.pages.figure import figure_png, new_figure

pytestmark = pytest.mark.slow


def test_inspect(command: Callable[..., Any], tmp_path: Path) -> None:
    for i in range(40):
        write_image(tmp_path / "pictures" / "ab"[i % 2] / (30 * "long" + f"{i // 4}.png"), i // 4)
    found = command("inspect", "data.root=pictures", "data.image_size=16", "hydra.run.dir=found")
    assert found.returncode == 0, found.stderr
    assert wider_than_a_phone((tmp_path / "found" / "inspect.html").read_text(), tmp_path) == []


def test_explain(tmp_path: Path) -> None:
    rho = {"mean": 0.1, "sd": 0.1, "without_sign": 0.2}
    maps = {"trained_and_random": rho, "two_random": rho}
    of_network = {"integrated_gradients": maps, "completeness_error": 0.01}
    images = {"unseen real normal": 4, "generated normal": 4}
    numbers = {"images": images, "filters": {}, "maps": {"discriminator": of_network}}
    png = figure_png(new_figure(figsize=(13, 3)))
    told = "this machine has no font for the letters of some names: [1] is 폐렴"
    sheets = {"maps_discriminator": png, "mean_maps": png}
    page = render("runs/" + 40 * "long" + "/last.ckpt", numbers, sheets, told)
    assert check_contents(page) == ["Where they look on average", "Where the discriminator looks"]
    assert "This machine has no font for the letters of some names: [1] is 폐렴." in page
    assert wider_than_a_phone(page, tmp_path) == []


def test_what_is_too_wide_is_found(tmp_path: Path) -> None:
    wide = '<div style="width: 600px">wide</div>'
    found = wider_than_a_phone(f'<body><div style="overflow-x: auto">{wide}</div>{wide}', tmp_path)
    assert len(found) == 2
    assert found[1] == "the page"
