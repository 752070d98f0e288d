"""What every page must hold: contents that lead somewhere, and room on a phone."""

from __future__ import annotations

import html
import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

PHONE = 400
WIDER = """
onload = () => {
  const page = document.querySelector("iframe").contentDocument;
  const scrolls = e => e && (getComputedStyle(e).overflowX === "auto" || scrolls(e.parentElement));
  const wide = [...page.querySelectorAll("body *")].filter(
    e => e.getBoundingClientRect().right > innerWidth_ + 1 && !scrolls(e));
  const found = wide.map(e => e.outerHTML.slice(0, 80));
  if (page.documentElement.scrollWidth > innerWidth_) found.push("the page");
  document.body.textContent = JSON.stringify(found);
}
"""
"""Parts of a page that are wider than the screen, and do not scroll in a part that is not."""


def check_contents(page: str) -> list[str]:
    """Check that each link of the contents has its heading, and return the headings' titles."""
    nav = page[page.index("<nav") : page.index("</nav>")]
    anchors = re.findall(r'href="#([^"]+)"', nav)
    ids = re.findall(r'id="([^"]+)"', page)
    assert anchors == ids
    assert len(set(ids)) == len(ids)
    assert len(anchors) > 1
    assert "<h2>" not in page
    return [html.unescape(title) for title in re.findall(r"<h2[^>]*>(.*?)</h2>", page)]


def wider_than_a_phone(page: str, folder: Path) -> list[str]:
    """Return the parts of a page that a phone's screen cuts, as Chromium lays it out."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if browser is None:
        pytest.skip("needs chromium")
    # A window of a browser is never as narrow as a phone; a frame is.
    frame = (
        f'<iframe style="width: {PHONE}px; height: 800px" srcdoc="{html.escape(page)}"></iframe>'
    )
    script = f"<script>const innerWidth_ = {PHONE}; {WIDER}</script>"
    outer = folder / "phone.html"
    outer.write_text(f"<!DOCTYPE html><body>{frame}{script}</body>")
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile")
    shown = subprocess.run(
        [browser, *options, "--dump-dom", outer.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    found: list[str] = json.loads(html.unescape(re.search(r"<body>(.*)</body>", shown, re.S)[1]))  # type: ignore[index]
    return found


def overlapping(figure: Figure) -> list[str]:
    """Return what is written over other text of a figure, or beyond its edge."""
    written = []
    draw = Text.draw

    def noted(text: Text, renderer: Any, *rest: Any, **more: Any) -> None:
        draw(text, renderer, *rest, **more)
        if text.get_visible() and text.get_text().strip():
            written.append((text.get_text(), text.get_window_extent(renderer).padded(-1)))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Text, "draw", noted)
        figure.draw_without_rendering()
    pairs = itertools.combinations(written, 2)
    found = [f"{a} | {b}" for (a, box), (b, other) in pairs if box.overlaps(other)]
    whole = figure.bbox.padded(2)
    return found + [a for a, b in written if not whole.containsx(b.x0) or not whole.containsx(b.x1)]
