"""explain.html: one self-contained page; its words are in explain.html.j2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_aug.interpret.maps import CELLS, LEAST_SIDE, METHODS
from gan_aug.interpret.sheets import LARGEST_DIFFERENCE
from gan_aug.pages import html

_TITLES = {
    "maps_discriminator": "Where the discriminator looks",
    "maps_cnn": "Where the classifier looks",
    "mean_maps": "Where they look on average",
    "interpolation": "Ways through the latent space",
    "truncation": "From the middle of the latent space outwards",
    "projection": "What the generator makes that is nearest to an image",
}


def render(checkpoint: str, numbers: Mapping[str, Any], pngs: Mapping[str, bytes]) -> str:
    """Return the page as HTML.

    Args:
        checkpoint: what was explained.
        numbers: the content of explain.json.
        pngs: name of a sheet to PNG.
    """
    layers = {
        f"filters_{layer}": f"Discriminator, layer {layer.removeprefix('layer')}: what excites its "
        "filters"
        for layer in numbers["filters"]
    }
    return html.render(
        Path(__file__).with_name("explain.html.j2"),
        {"one": "{:.1f}".format, "two": "{:.2f}".format},
        checkpoint=checkpoint,
        numbers=numbers,
        methods=METHODS,
        least_side=LEAST_SIDE,
        cells=CELLS,
        largest_difference=LARGEST_DIFFERENCE,
        titles=_TITLES | layers,
        sheets={name: html.data_uri(png) for name, png in pngs.items()},
    )
