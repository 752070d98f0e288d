"""The three looks into a GAN: each gives numbers, and figures by the name of their sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from gan_aug.interpret.filters import (
    crop,
    guided_backprop,
    responses,
    selectivity,
    strongest,
)
from gan_aug.interpret.latent import (
    Projection,
    interpolation,
    largest_jump,
    project,
    share_nearer,
    truncation,
)
from gan_aug.interpret.layers import ConvLayer
from gan_aug.interpret.maps import (
    METHODS,
    Explained,
    all_maps,
    completeness_error,
    randomisation_check,
    rank_correlation,
)
from gan_aug.interpret.sheets import (
    FilterRow,
    MapColumn,
    MeanRow,
    Pixels,
    filters_figure,
    maps_figure,
    mean_maps_figure,
    picture,
    projection_figure,
    relief,
    strips_figure,
)

Figures = dict[str, Figure]
Numbers = dict[str, Any]

SHOWN = 4
"""Images of each group on the sheets of maps."""
ROWS, STEPS = 6, 9
SCALES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
SPREAD_OVER = 64
PROJECTED, PROJECTED_SHOWN, PROJECTION_STEPS = 16, 5, 200


@dataclass(frozen=True)
class Versions:
    """A network as it was trained, and twice with random weights.

    Attributes:
        trained: as it is.
        random: untrained.
        other_random: untrained, with other weights.
        methods: the maps to make of it, keys of `METHODS`.
    """

    trained: Explained
    random: Explained
    other_random: Explained
    methods: Sequence[str]


def look_at_filters(
    networks: Versions,
    layers: Sequence[ConvLayer],
    images: Mapping[str, Tensor],
    filters: int,
    patches: int,
) -> tuple[Numbers, Figures]:
    """Show what excites the filters of a discriminator, trained and with random weights.

    Args:
        networks: the discriminator.
        layers: which to show.
        images: `real` and `generated`, (N, C, H, W) in [-1, 1].
        filters: of each layer: those most selective on the real images, by one rule for both
            networks.
        patches: of each filter.
    """
    numbers: Numbers = {}
    figures: Figures = {}
    versions = {
        "trained": (networks.trained, "Trained discriminator"),
        "random": (networks.random, "Control: random weights, chosen by the same rule"),
    }
    for layer in layers:
        blocks: dict[str, list[FilterRow]] = {}
        of_layer: Numbers = {"receptive_field": layer.size}
        for key, (explained, title) in versions.items():
            found = {n: responses(explained.network, layer, i) for n, i in images.items()}
            scores = selectivity(found["real"], patches)
            chosen = scores.argsort(descending=True, stable=True)[:filters].tolist()
            blocks[title] = [
                _filter_row(explained, layer, images, found, number, patches) for number in chosen
            ]
            of_layer[key] = {
                "filters": chosen,
                "selectivity": [float(scores[number]) for number in chosen],
                "mean_selectivity": float(scores.mean()),
                "mean_selectivity_on_generated": float(
                    selectivity(found["generated"], patches).mean()
                ),
            }
        numbers[f"layer{layer.number}"] = of_layer
        figures[f"filters_layer{layer.number}"] = filters_figure(blocks)
    return numbers, figures


def _filter_row(
    explained: Explained,
    layer: ConvLayer,
    images: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    number: int,
    patches: int,
) -> FilterRow:
    panels: dict[str, list[Pixels]] = {}
    for name, of_name in images.items():
        top = strongest(found[name], number, patches)
        shown = of_name[top.rows]
        at = explained.network.get_submodule(layer.path)
        guided = guided_backprop(explained.network, at, shown, number, top.cells)
        for kind, draw, source in (
            ("patches", picture, shown),
            ("guided backpropagation", relief, guided),
        ):
            panels[f"{name}: {kind}"] = [
                draw(crop(image, layer, cell))
                for image, cell in zip(source, top.cells, strict=True)
            ]
    return FilterRow(f"filter {number}", panels)


def look_at_maps(
    networks: Mapping[str, Versions],
    outputs: Mapping[str, tuple[str, str]],
    groups: Mapping[str, Tensor],
    baseline: Tensor,
) -> tuple[Numbers, Figures]:
    """Show where networks look, and the same with random weights.

    Args:
        networks: name to network.
        outputs: name to what the network is called and what of it is explained.
        groups: title to images (N, C, H, W) in [-1, 1].
        baseline: (1, C, H, W), of integrated gradients.
    """
    images = torch.cat(list(groups.values()))
    sizes = [len(of_group) for of_group in groups.values()]
    numbers: Numbers = {}
    figures: Figures = {}
    means: dict[str, dict[str, dict[str, tuple[Tensor, str]]]] = {title: {} for title in groups}
    for name, versions in networks.items():
        trained, random, other = (
            all_maps(explained, images, baseline, versions.methods)
            for explained in (versions.trained, versions.random, versions.other_random)
        )
        shown = {method: METHODS[method] for method in versions.methods}
        check = randomisation_check(trained, random, other)
        error = completeness_error(
            versions.trained, images, baseline, trained["integrated_gradients"]
        )
        numbers[name] = {**check, "completeness_error": error, "mean_maps": {}}
        rows: dict[str, Tensor] = {}
        for method, title in shown.items():
            rho = check[method]["trained_and_random"]["mean"]
            rows |= {
                f"{title}\ntrained": trained[method],
                f"{title}\nrandom weights\n(rho = {rho:.2f})": random[method],
            }
        with torch.no_grad():
            values = versions.trained.output(images)
        columns = [
            MapColumn(
                title,
                of_group[:SHOWN],
                of_values[:SHOWN].tolist(),
                {row: maps[start:][: min(SHOWN, len(of_group))] for row, maps in rows.items()},
            )
            for (title, of_group), of_values, start in zip(
                groups.items(), torch.split(values, sizes), _starts(sizes), strict=True
            )
        ]
        called, output = outputs[name]
        heading = f"Where the {called} looks (above each image: {output}; red raises it)"
        figures[f"maps_{name}"] = maps_figure(heading, columns)
        for method, method_title in shown.items():
            parts = (torch.split(maps[method], sizes) for maps in (trained, random))
            for title, a, b in zip(groups, *parts, strict=True):
                mean, control = a.mean(dim=0), b.mean(dim=0)
                rho = float(rank_correlation(mean[None], control[None])[0])
                numbers[name]["mean_maps"].setdefault(method, {})[title] = rho
                means[title][f"{called}\n{method_title}"] = {
                    "trained": (mean, ""),
                    "random": (control, f"rho = {rho:.2f}"),
                }
    figures["mean_maps"] = mean_maps_figure(
        [MeanRow(title, groups[title].mean(dim=0), maps) for title, maps in means.items()]
    )
    return numbers, figures


def _starts(sizes: Sequence[int]) -> list[int]:
    return [sum(sizes[:i]) for i in range(len(sizes))]


def look_at_latents(
    generator: nn.Module, latent_dim: int, seen: Mapping[str, Tensor], seed: int
) -> tuple[Numbers, Figures]:
    """Walk through a generator's latent space, and look for real images in it.

    Args:
        generator: frozen, in evaluation mode.
        latent_dim: of its latents.
        seen: `unseen real`, `training` and `generated` images (N, C, H, W) in [-1, 1], to project.
        seed: of all latents.
    """
    random = torch.Generator().manual_seed(seed)
    strips = interpolation(generator, latent_dim, ROWS, STEPS, random)
    scaled = truncation(generator, latent_dim, SCALES, SPREAD_OVER, random)
    spread = 127.5 * scaled.std(dim=0).flatten(1).mean(dim=1)
    found = project(generator, latent_dim, torch.cat(list(seen.values())), PROJECTION_STEPS, random)
    sizes = [len(images) for images in seen.values()]
    parts = {
        name: Projection(*of_name)
        for name, *of_name in zip(
            seen,
            torch.split(found.images, sizes),
            torch.split(found.rms, sizes),
            torch.split(found.lengths, sizes),
            strict=True,
        )
    }
    numbers = {
        "interpolation": {"largest_step_over_mean": largest_jump(strips), "steps": STEPS - 1},
        "truncation": {
            "spread": {str(s): float(v) for s, v in zip(SCALES, spread, strict=True)},
            "latents": SPREAD_OVER,
        },
        "projection": {
            **{
                name: {
                    "rms_mean": float(of_name.rms.mean()),
                    "rms_sd": float(of_name.rms.std()),
                    "latent_length": float(of_name.lengths.mean()),
                    "images": len(of_name.rms),
                }
                for name, of_name in parts.items()
            },
            "share_of_pairs_training_nearer": share_nearer(
                parts["training"].rms, parts["unseen real"].rms
            ),
        },
    }
    shown = {
        f"{name} (mean of {len(p.rms)}: {p.rms.mean():.1f})": (
            seen[name][:PROJECTED_SHOWN],
            p.images[:PROJECTED_SHOWN],
            p.rms[:PROJECTED_SHOWN].tolist(),
        )
        for name, p in parts.items()
    }
    ends = ["one latent", *[""] * (STEPS - 2), "another"]
    figures = {
        "interpolation": strips_figure("Ways between two random latents", strips, ends),
        "truncation": strips_figure(
            "Latents scaled", scaled[:ROWS], [f"x {scale:g}" for scale in SCALES]
        ),
        "projection": projection_figure(shown),
    }
    return numbers, figures
