"""Self-contained pages: templates beside their code, pictures inside the page."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image


def render(
    template: Path,
    filters: Mapping[str, Callable[..., Any]] | None = None,
    of_figures: str = "",
    **values: Any,
) -> str:
    """Return a page from a .html.j2 file that extends page.html.j2.

    `of_figures` is what must be known to read its figures, see `numbered_names`. A value that the
    template needs and does not get is an error.
    """
    environment = _environment(template.parent)
    environment.filters |= filters or {}
    return environment.get_template(template.name).render(of_figures=of_figures, **values)


@cache
def _environment(folder: Path) -> Environment:
    environment = Environment(  # which keeps what it has compiled
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["with_anchors"] = _with_anchors
    return environment


def _with_anchors(body: Markup) -> tuple[Markup, dict[str, Markup]]:
    """Give every <h2> an id, and return these ids too, each with its title."""
    sections: dict[str, Markup] = {}

    def anchored(heading: re.Match[str]) -> str:
        title = Markup(heading[1])
        anchor = re.sub(r"\W+", "-", title.striptags().lower()).strip("-")
        sections[anchor] = title
        return f'<h2 id="{anchor}">{title}</h2>'

    return Markup(re.sub(r"<h2>(.*?)</h2>", anchored, body)), sections


def data_uri(png: bytes) -> str:
    """Return a PNG as the source of an <img>."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def sheet(images: NDArray[np.uint8], columns: int) -> Image.Image:
    """Lay images, uint8 (N, C, H, W), out in rows of so many columns, with white between them."""
    n, channels, height, width = images.shape
    rows = -(-n // columns)
    canvas = np.full((rows * (height + 2), columns * (width + 2), channels), 255, np.uint8)
    for i in range(n):
        y, x = i // columns * (height + 2), i % columns * (width + 2)
        canvas[y : y + height, x : x + width] = images[i].transpose(1, 2, 0)
    return Image.fromarray(canvas[:, :, 0] if channels == 1 else canvas)


def png_of(picture: Image.Image) -> bytes:
    """Return a picture as PNG, as small as it gets."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
