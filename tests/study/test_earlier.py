"""Studies that earlier versions began are gone on with."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

Command = Callable[..., Any]


@pytest.mark.parametrize("model", ["dcgan", "cyclegan"])
def test_a_published_draw_is_finished(model: str, command: Command, tmp_path: Path) -> None:
    """Nothing but its folder is needed to tell: no data, no GAN."""
    study = tmp_path / "runs" / "study" / "gan_family_chest_xray"
    with zipfile.ZipFile(ROOT / "experiments" / "gan_family" / "draws.zip") as archive:
        archive.extractall(study)
    before = (study / model / "draw_0" / "metrics.json").read_bytes()
    arguments = ("+study=gan_family", f"model={model}", "draw=0", "data.root=nowhere")
    result = command("study", *arguments)
    assert result.returncode == 0, result.stderr
    assert f"{model}/draw_0: finished already, skipped" in result.stdout
    assert (study / model / "draw_0" / "metrics.json").read_bytes() == before
    summary = json.loads((study / "summary.json").read_text())
    assert 0 in summary["draws"]
