"""Reports without figures, which take most of a report's time, but where a test is about them."""

from __future__ import annotations

import pytest

from gan_aug.report import build


@pytest.fixture(autouse=True)
def _figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("figures") is None:
        monkeypatch.setattr(build, "all_figures", lambda *_: {})
