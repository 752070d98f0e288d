"""Where in an image a network looks, and whether the answer depends on what it learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerGradCam
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.interpret.copies import Versions
from gan_aug.interpret.layers import recorded
from gan_aug.interpret.sheets import maps_figure, mean_maps_figure
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.base import Plain

LEAST_SIDE = 8
"""Coarser feature maps say little about where."""
CELLS = 16
"""Integrated gradients are summed over about so many cells a side, all of one size: those of
single pixels alternate in sign with the strides of the convolutions."""
STEPS = 16
BATCH = 8

SHOWN = 4
"""Images of each group on the sheets."""
GRAD_CAM, INTEGRATED = "grad_cam", "integrated_gradients"
METHODS = {GRAD_CAM: "Grad-CAM", INTEGRATED: "integrated gradients"}


def map_sheets(
    networks: Mapping[str, Versions], groups: Mapping[str, Tensor], baseline: Tensor
) -> tuple[Plain, dict[str, Figure]]:
    """Show where networks look, and the same with random weights.

    Groups are title to images (N, C, H, W) in [-1, 1]; integrated gradients begin at the baseline
    (1, C, H, W). Returned are numbers of each network, and figures by the name of their sheet.
    """
    images = torch.cat(list(groups.values()))
    sizes = [len(group) for group in groups.values()]
    numbers: Plain = {}
    figures: dict[str, Figure] = {}
    means: dict[str, list[tuple[str, Tensor, str]]] = {title: [] for title in groups}
    for name, versions in networks.items():
        trained, random, other = (
            all_maps(network, images, baseline, versions.methods)
            for network in (versions.trained, versions.random, versions.other_random)
        )
        check = randomisation_check(trained, random, other)
        error = completeness_error(versions.trained, images, baseline, trained[INTEGRATED])
        mean_rhos: dict[str, dict[str, float]] = {method: {} for method in versions.methods}
        rows: dict[str, list[Tensor]] = {}
        for method in versions.methods:
            parts = [torch.split(maps[method], sizes) for maps in (trained, random)]
            rho = check[method]["trained_and_random"]["mean"]
            label = f"{METHODS[method]}\nrandom weights\n(rho = {rho:.2f})"
            for row, part in zip((f"{METHODS[method]}\ntrained", label), parts, strict=True):
                rows[row] = [maps[:SHOWN] for maps in part]
            for title, *own in zip(groups, *parts, strict=True):
                mean, control = (maps.mean(dim=0) for maps in own)
                rho = float(rank_correlation(mean[None], control[None])[0])
                mean_rhos[method][title] = rho
                column = f"{versions.called}\n{METHODS[method]}\n"
                means[title].append((f"{column}trained", mean, ""))
                means[title].append((f"{column}random", control, f"rho = {rho:.2f}"))
        numbers[name] = {**check, "completeness_error": error, "mean_maps": mean_rhos}
        with torch.no_grad():
            values = torch.split(versions.trained(images), sizes)
        figures[f"maps_{name}"] = maps_figure(
            f"Where the {versions.called} looks "
            f"(above each image: {versions.output}; red raises it)",
            {
                title: (group[:SHOWN], own[:SHOWN].tolist())
                for (title, group), own in zip(groups.items(), values, strict=True)
            },
            rows,
        )
    figures["mean_maps"] = mean_maps_figure(
        {title: group.mean(dim=0) for title, group in groups.items()}, means
    )
    return numbers, figures


def logit_difference(network: nn.Module, label: int) -> nn.Module:
    """Let an `explainable` classifier give a class's logit less the mean of the others.

    It maps images (N, C, H, W) to logits (N, K), and from now on to (N,).
    """

    def difference(module: nn.Module, given: Any, logits: Tensor) -> Tensor:
        others = [k for k in range(logits.shape[1]) if k != label]
        return logits[:, label] - logits[:, others].mean(dim=1)

    network.register_forward_hook(difference)
    return network


@torch.no_grad()
def map_layer(network: nn.Module, images: Tensor) -> nn.Module | None:
    """Return the module that gives the last map with `LEAST_SIDE` cells a side or more, if any.

    Images are (N, C, H, W) in [-1, 1]. A module that the network uses twice cannot be asked for its
    map.
    """
    with recorded(network) as calls:
        network(images[:1])
    times = Counter(call.path for call in calls)
    last, convolved = None, False
    for call in calls:
        convolved |= isinstance(call.module, nn.Conv2d)
        if isinstance(call.output, Tensor) and call.output.ndim == 4 and times[call.path] == 1:
            height, width = call.output.shape[2:]
            # Neither (N, H, W, C), as some norms have it, nor the image itself, rescaled.
            if height == width >= LEAST_SIDE and convolved:
                last = call.module
    return last


def grad_cam(network: nn.Module, images: Tensor) -> Tensor:
    """Return signed Grad-CAM maps (Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2).

    The paper's last ReLU is left out: what lowers the output is negative, not hidden. Images are
    (N, C, H, W) in [-1, 1], maps (N, h, w) of the side of `map_layer`.

    Raises:
        GanAugError: there is no such layer.
    """
    layer = map_layer(network, images)
    if layer is None:
        raise GanAugError(
            f"explain: {type(network).__name__} has no layer with a map of {LEAST_SIDE} "
            f"x {LEAST_SIDE} cells; choose another classifier (quality.classifier) or larger images"
        )
    method = LayerGradCam(network, layer)
    batches = [batch.clone().requires_grad_(True) for batch in torch.split(images, 64)]
    return torch.cat([method.attribute(batch).detach()[:, 0] for batch in batches])


def integrated_gradients(network: nn.Module, images: Tensor, baseline: Tensor) -> Tensor:
    """Return integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365, equation 1).

    The path to each image (N, C, H, W) in [-1, 1] begins at the baseline (1, C, H, W). Returned is
    (N, h, h), summed over channels and over the pixels of a cell. The sum over a map is the
    output for the image less that for the baseline, up to the error of `STEPS` steps of
    Gauss-Legendre quadrature.
    """
    method = IntegratedGradients(network)
    parts = [
        method.attribute(batch.clone().requires_grad_(True), baselines=baseline, n_steps=STEPS)
        for batch in torch.split(images, BATCH)
    ]
    pixels = torch.cat(parts).detach().sum(dim=1, keepdim=True)
    width = images.shape[-1]
    side = next(n for n in range(max(1, width // CELLS), 0, -1) if width % n == 0)  # none is lost
    return F.avg_pool2d(pixels, side)[:, 0].float() * side**2


@torch.no_grad()
def completeness_error(network: nn.Module, images: Tensor, baseline: Tensor, maps: Tensor) -> float:
    """Return the mean error of the sums of integrated gradients, as a share of what they sum to."""
    outputs = torch.cat([network(batch) for batch in torch.split(images, 64)])
    wanted = outputs - network(baseline)
    return float((maps.sum(dim=(1, 2)) - wanted).abs().mean() / wanted.abs().mean())


def methods_for(network: nn.Module, images: Tensor) -> list[str]:
    """Return the keys of `METHODS` that a network has maps for."""
    return [m for m in METHODS if m != GRAD_CAM or map_layer(network, images) is not None]


def all_maps(
    network: nn.Module, images: Tensor, baseline: Tensor, methods: Sequence[str] = tuple(METHODS)
) -> dict[str, Tensor]:
    """Return the maps of some methods, by their names in `METHODS`."""
    return {
        method: grad_cam(network, images)
        if method == GRAD_CAM
        else integrated_gradients(network, images, baseline)
        for method in methods
    }


def rank_correlation(a: Tensor, b: Tensor) -> NDArray[np.float64]:
    """Return Spearman's rank correlation of each pair of maps (N, h, w): (N,).

    It is 0 where a map is the same everywhere.
    """
    ranks = [rankdata(x.flatten(1).double().numpy(), axis=1) for x in (a, b)]
    x, y = (r - r.mean(axis=1, keepdims=True) for r in ranks)
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    products = (x * y).sum(axis=1)
    rho: NDArray[np.float64] = np.divide(products, scale, out=np.zeros(len(x)), where=scale > 0)
    return rho


def likeness(a: Tensor, b: Tensor) -> dict[str, float]:
    """Return mean and spread over images of the rank correlation of maps (N, h, w).

    Adebayo et al. (2018, arXiv:1810.03292, section 3) give it for the values with and without sign.
    """
    signed, unsigned = rank_correlation(a, b), rank_correlation(a.abs(), b.abs())
    return {
        "mean": float(signed.mean()),
        "sd": float(signed.std()),
        "without_sign": float(unsigned.mean()),
    }


def randomisation_check(
    trained: dict[str, Tensor], first: dict[str, Tensor], second: dict[str, Tensor]
) -> dict[str, dict[str, dict[str, float]]]:
    """Compare maps of a trained network with those of two untrained ones (Adebayo et al. 2018).

    They are method to maps (N, h, w) of the same images.

    Returns:
        method to `trained_and_random` and, as what chance and architecture alone give,
        `two_random`.
    """
    return {
        method: {
            "trained_and_random": likeness(trained[method], first[method]),
            "two_random": likeness(first[method], second[method]),
        }
        for method in trained
    }
