"""explain.html: one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_aug.interpret.maps import CELLS, GRAD_CAM, LEAST_SIDE, METHODS
from gan_aug.interpret.sheets import LARGEST_DIFFERENCE
from gan_aug.pages import html
from gan_aug.pages.html import data_uri


@dataclass(frozen=True)
class Section:
    """A sheet as the page shows it.

    Attributes:
        name: of its file, without ending.
        title: its heading.
        text: what it shows, how to read it, and its numbers.
        image: as a data URI.
    """

    name: str
    title: str
    text: list[str]
    image: str


def render(checkpoint: str, numbers: Mapping[str, Any], pngs: Mapping[str, bytes]) -> str:
    """Return the page as HTML.

    Args:
        checkpoint: what was explained.
        numbers: the content of explain.json.
        pngs: name of a sheet to PNG.
    """
    sections = []
    for name, png in pngs.items():
        title, text = _words(name, numbers)
        sections.append(Section(name, title, text, data_uri(png)))
    return html.render(
        Path(__file__).with_name("explain.html.j2"),
        checkpoint=checkpoint,
        maps=numbers["maps"],
        methods=METHODS,
        missing=_missing(numbers),
        sections=sections,
    )


def _missing(numbers: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each thing that this GAN has not."""
    found = []
    if not numbers["filters"]:
        found.append("This discriminator has no convolutions whose filters could be shown.")
    if GRAD_CAM not in numbers["maps"]["discriminator"]:
        found.append(
            f"This discriminator has no convolution's map of at least {LEAST_SIDE} x {LEAST_SIDE} "
            "cells, which Grad-CAM would be read off."
        )
    if "projection" not in numbers:
        found.append(
            "The GAN makes its images from real ones, not from latents alone: there is no latent "
            "space to walk through."
        )
    return found


def _words(name: str, numbers: Mapping[str, Any]) -> tuple[str, list[str]]:
    if name.startswith("filters_"):
        return _of_filters(name.removeprefix("filters_"), numbers["filters"])
    if name == "mean_maps":
        return _of_mean_maps(numbers)
    if name.startswith("maps_"):
        return _of_maps(name.removeprefix("maps_"), numbers["maps"])
    return {
        "interpolation": _of_interpolation,
        "truncation": _of_truncation,
        "projection": _of_projection,
    }[name](numbers[name])


def _of_filters(layer: str, filters: Mapping[str, Any]) -> tuple[str, list[str]]:
    found = filters[layer]
    trained, random = found["trained"], found["random"]
    side = found["receptive_field"]
    title = f"Discriminator, layer {layer.removeprefix('layer')}: what excites its filters"
    facts = [
        f"A tile is {side} x {side} pixels. How far the strongest responses stand above the mean "
        "one, in standard deviations, mean over all filters of the layer: trained "
        f"{trained['mean_selectivity']:.2f} on real and "
        f"{trained['mean_selectivity_on_generated']:.2f} on generated images; random weights "
        f"{random['mean_selectivity']:.2f} and {random['mean_selectivity_on_generated']:.2f}. "
        "Where trained and random are alike, what stands out is a matter of the images.",
    ]
    if layer != next(iter(filters)):
        return title, facts
    return title, [
        "Each row is a filter; each tile is what it sees of an image where it responds most, one "
        "tile an image, the strongest first, mid-grey beyond the border. Beside the patches is "
        "guided backpropagation (Springenberg et al. 2015): what in the patch raises the response. "
        "Shown are the filters whose strongest responses on unseen real images stand "
        "furthest above their usual ones; nobody picked them by eye.",
        "Below is the control: a discriminator that was never trained, its filters chosen by the "
        "same rule. A row of the trained one says something only where its patches are more alike "
        "than those of the control.",
        *facts,
    ]


_LOOKS = {
    "discriminator": (
        "Where the discriminator looks",
        "Red raises the discriminator's logit (it looks more real), blue lowers it.",
    ),
    "cnn": (
        "Where the classifier looks",
        "Red raises the output named above each image, blue lowers it. The classifier "
        "is the reference classifier, fitted on other patients than the unseen ones.",
    ),
}


def _of_maps(network: str, maps: Mapping[str, Any]) -> tuple[str, list[str]]:
    title, colours = _LOOKS[network]
    found = maps[network]
    grad_cam = (
        "Grad-CAM (Selvaraju et al. 2017) is coarse: it is read off the last feature map of at "
        f"least {LEAST_SIDE} x {LEAST_SIDE} cells, and keeps its sign. "
    )
    return title, [
        f"{colours} Each map is scaled by its own largest value. "
        f"{grad_cam if GRAD_CAM in found else ''}Integrated gradients (Sundararajan et al. 2017) "
        "lead from the mean unseen real image (both classes with the same weight) to the image "
        "shown; they sum to the difference of the two outputs (here with an error of "
        f"{100 * found['completeness_error']:.1f} %) and are shown as sums over a grid of "
        f"{CELLS} x {CELLS} cells.",
        "Below each map is the one from random weights. " + _verdicts(found),
    ]


def _verdicts(found: Mapping[str, Any]) -> str:
    """Return a sentence for each method: is the map a matter of what was learned?"""
    sentences = []
    for method, title in METHODS.items():
        if method not in found:
            continue
        with_random = found[method]["trained_and_random"]
        chance = found[method]["two_random"]
        sentences.append(
            f"{title[0].upper()}{title[1:]}: rank correlation with the map of random weights "
            f"{with_random['mean']:.2f} (sd over images {with_random['sd']:.2f}; without sign "
            f"{with_random['without_sign']:.2f}); between two random networks "
            f"{chance['mean']:.2f} (without sign {chance['without_sign']:.2f})."
        )
    return " ".join(sentences)


def _of_mean_maps(numbers: Mapping[str, Any]) -> tuple[str, list[str]]:
    counts = [f"{n} {title}" for title, n in numbers["images"].items() if isinstance(n, int)]
    return "Where they look on average", [
        f"The mean of the signed maps over {', '.join(counts)} images, on their mean image. What "
        "is red or blue here is so on average over the group: a place in the chest (or outside of "
        "it: a marker, a border), not a finding of one patient.",
        "Beside each is the mean map from random weights, with the rank correlation of the two "
        "(rho). Where rho is near 1 or -1, the map is drawn by the images and the architecture, "
        "not by what was learned.",
    ]


def _of_interpolation(found: Mapping[str, Any]) -> tuple[str, list[str]]:
    return "Ways through the latent space", [
        "Each row goes from one random latent to another along the great circle. A generator that "
        "learned a continuous family changes evenly; one that remembers images jumps between them "
        "(Radford et al. 2015, section 6.1).",
        "The largest step of a row, in pixels, is on average "
        f"{found['largest_step_over_mean']:.2f} times its mean step; 1 is an even walk, "
        f"{found['steps']} a single jump.",
    ]


def _of_truncation(found: Mapping[str, Any]) -> tuple[str, list[str]]:
    spread = ", ".join(f"{value:.1f} at x {scale}" for scale, value in found["spread"].items())
    return "From the middle of the latent space outwards", [
        "Each row is one latent, scaled. At 0 all rows are the same image. Latents of N(0, 1) in "
        "many dimensions all have nearly the same length (x 1), so the generator never made an "
        "image from the middle while it was trained: what it makes there shows whether it filled "
        "the middle with a typical image, or learned only the shell where latents are drawn.",
        f"Standard deviation between the images of {found['latents']} latents, in grey levels: "
        f"{spread}.",
    ]


def _of_projection(found: Mapping[str, Any]) -> tuple[str, list[str]]:
    parts = "; ".join(
        f"{name} {of_name['rms_mean']:.1f} (sd {of_name['rms_sd']:.1f}, {of_name['images']} "
        f"images, length of latents {of_name['latent_length']:.2f})"
        for name, of_name in found.items()
        if isinstance(of_name, dict)
    )
    return "What the generator makes that is nearest to an image", [
        "The latent is looked for by gradient descent on the error of pixels. Bright places in the "
        "bottom row are what the generator cannot make (the brightest are wrong by "
        f"{LARGEST_DIFFERENCE} grey levels or more). The generated images show how well the search "
        "itself works: the generator can make those exactly.",
        "Training images that project far better than unseen ones of the same class would mean "
        f"that the generator remembers them. RMS error in grey levels: {parts}. (Latents are drawn "
        "at a length of 1; a longer one lies where the generator hardly ever goes.)",
        "Share of pairs in which the training image projects better than the unseen one: "
        f"{found['share_of_pairs_training_nearer']:.2f}; 0.5 is no difference.",
    ]
