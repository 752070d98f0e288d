"""What the explain command does: sheets, explain.json, explain.html, metrics.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from gan_aug.data.batches import to_float
from gan_aug.data.image_table import Images
from gan_aug.evaluation.reference_classifier import find_or_fit_reference
from gan_aug.evaluation.subject import Subject
from gan_aug.interpret.copies import Versions, explainable, with_random_weights
from gan_aug.interpret.filters import filter_sheets
from gan_aug.interpret.latent import PROJECTED, latent_sheets
from gan_aug.interpret.layers import chosen_layers
from gan_aug.interpret.maps import (
    CELLS,
    LEAST_SIDE,
    METHODS,
    logit_difference,
    map_sheets,
    methods_for,
)
from gan_aug.interpret.sheets import LARGEST_DIFFERENCE
from gan_aug.models.classifier import Classifier
from gan_aug.models.rebuild import untrained_gan
from gan_aug.pages import html
from gan_aug.pages.figure import figure_png, numbered_names
from gan_aug.runtime.files import replace_file, write_json, write_text
from gan_aug.runtime.record import Run
from gan_aug.runtime.run_record import RESULT
from gan_aug.runtime.seeds import stream_seed
from gan_aug.runtime.terminal import quieten
from gan_aug.settings.base import Node, Plain, build_plain
from gan_aug.settings.commands import SettledExplain

TITLES = {
    "maps_discriminator": "Where the discriminator looks",
    "maps_cnn": "Where the classifier looks",
    "mean_maps": "Where they look on average",
    "interpolation": "Ways through the latent space",
    "truncation": "From the middle of the latent space outwards",
    "projection": "What the generator makes that is nearest to an image",
}


def explain(settings: SettledExplain, subject: Subject, run: Run) -> None:
    """Look into a GAN and the reference classifier; write what is seen to the run's folder.

    Raises:
        GanAugError: a layer that there is not, too few real images, a classifier that cannot be
            fitted.
    """
    quieten()
    saved, checkpoint, splits = subject.saved, settings.checkpoint, subject.splits
    assert saved is not None
    assert checkpoint is not None
    gan, config = saved.gan, saved.config
    # One class at a time: the positive one, or the first that the GAN makes.
    positive = splits.classes.positive
    shown = positive if positive in subject.generated else next(iter(subject.generated))
    label = splits.classes.label(shown)
    discriminator = explainable(gan.critic(label))
    generated = _scaled(subject.generated[shown].images)
    layers = chosen_layers(discriminator, generated[:1], settings.layers)
    unseen = subject.held_out(settings.quality.count, [shown]).reference
    real, known = (_scaled(table.of_class(shown).images) for table in (unseen, splits.train))
    groups = {
        f"unseen real {name}": _scaled(unseen.of_class(name).images[: settings.images])
        for name in splits.classes
    } | {f"generated {shown}": generated[: settings.images]}
    groups = {title: images for title, images in groups.items() if len(images)}

    where = f"checkpoint={checkpoint}"
    classifier = find_or_fit_reference(settings.quality, splits)
    # The positive class, or the one that the GAN makes.
    named = positive or shown
    others = [name for name in splits.classes if name != named]
    less = others[0] if len(others) == 1 else "the mean of the others"

    def all_weights(
        trained: nn.Module, build: Callable[[], nn.Module], *batches: Tensor
    ) -> list[nn.Module]:
        """Return a network as it was trained, and two with random weights."""
        seeds = (stream_seed("explain weights", settings.seed, i) for i in range(2))
        return [trained, *(with_random_weights(build, own, batches, trained) for own in seeds)]

    critics = all_weights(
        discriminator, lambda: untrained_gan(config, where).critic(label), real, generated
    )
    classifiers = all_weights(
        explainable(classifier.module.network),
        lambda: _untrained(settings.quality.classifier.module).network,
        real,
    )
    difference = partial(logit_difference, label=splits.classes.label(named))
    networks = {
        "discriminator": Versions(
            "discriminator",
            "its logit of real",
            methods_for(discriminator, real),
            *critics,
        ),
        "cnn": Versions(
            "classifier",
            f"its logit of {named} less {less}",
            list(METHODS),
            *map(difference, classifiers),
        ),
    }
    numbers: Plain = {
        "images": {title: len(images) for title, images in groups.items()}
        | {"for filters": {"real": len(real), "generated": len(generated)}},
        "reference_classifier": classifier.facts().model_dump(exclude_none=True),
    }
    numbers["filters"], figures = filter_sheets(
        networks["discriminator"],
        layers,
        {"real": real, "generated": generated},
        settings.filters,
        settings.patches,
    )
    # Each class counts the same, however many of its images are left.
    means = [images.mean(dim=0) for t, images in groups.items() if t.startswith("unseen real")]
    baseline = torch.stack(means).mean(dim=0, keepdim=True)
    numbers["maps"], sheets = map_sheets(networks, groups, baseline)
    figures |= sheets
    decoder = gan.decoder(label)
    if decoder is not None:
        latents, sheets = latent_sheets(
            decoder.requires_grad_(False).eval(),
            int(gan.generator.latent_dim),  # type: ignore[arg-type]
            {
                "unseen real": _spaced(real),
                "training": _spaced(known),
                "generated": _spaced(generated),
            },
            stream_seed("explain latents", settings.seed),
        )
        numbers, figures = numbers | latents, figures | sheets
    _write(run.folder, numbers, figures, checkpoint)


def _untrained(module: Node) -> Classifier:
    """Build a classifier without weights that somebody fitted."""
    node = module.plain()
    usual = {"pretrained": False, "weights": None}
    node["network"] |= {key: usual[key] for key in usual if key in node["network"]}
    classifier: Classifier = build_plain(node, "quality.classifier")
    return classifier


def _scaled(images: Images) -> Tensor:
    return to_float(torch.tensor(images))


def _spaced(images: Tensor) -> Tensor:
    """Return at most `PROJECTED` images from all over a set."""
    return images[np.linspace(0, len(images) - 1, min(PROJECTED, len(images))).astype(int)]


def _write(folder: Path, numbers: Plain, figures: Mapping[str, Figure], checkpoint: str) -> None:
    pngs = {name: figure_png(figure) for name, figure in figures.items()}
    writer = SummaryWriter(folder)
    for name, png in pngs.items():
        path = folder / f"{name}.png"
        replace_file(path, partial(Path.write_bytes, data=png))
        pixels: NDArray[np.float32] = imread(path)
        writer.add_image(f"explain/{name}", pixels[..., :3], dataformats="HWC")
    writer.close()
    headline = {
        f"{network}_{method}_rho_with_random": own[method]["trained_and_random"]["mean"]
        for network, own in numbers["maps"].items()
        for method in METHODS
        if method in own
    }
    if (projection := numbers.get("projection")) is not None:
        headline |= {
            "projection_rms_unseen": projection["unseen real"]["rms_mean"],
            "projection_rms_training": projection["training"]["rms_mean"],
        }
    write_json(folder / "explain.json", numbers)
    write_json(folder / RESULT, {"headline": headline})
    of_figures = numbered_names(figures.values())
    write_text(folder / "explain.html", render(checkpoint, numbers, pngs, of_figures))
    for name, value in headline.items():
        print(f"{name:<52}{value:8.3f}")
    print(f"page        {folder / 'explain.html'}")
    print(f"sheets      {folder}/*.png, and in TensorBoard: tensorboard --logdir {folder}")
    print(f"numbers     {folder / 'explain.json'}")


def render(checkpoint: str, numbers: Plain, pngs: Mapping[str, bytes], of_figures: str = "") -> str:
    """Return the page, whose words are in explain.html.j2, of explain.json and sheets as PNG."""
    filters = {
        f"filters_{layer}": f"Discriminator, layer {layer[5:]}: what excites its filters"
        for layer in numbers["filters"]
    }
    return html.render(
        Path(__file__).with_name("explain.html.j2"),
        {"one": "{:.1f}".format, "two": "{:.2f}".format},
        of_figures,
        checkpoint=checkpoint,
        numbers=numbers,
        methods=METHODS,
        least_side=LEAST_SIDE,
        cells=CELLS,
        largest_difference=LARGEST_DIFFERENCE,
        titles=TITLES | filters,
        # The first screen shows what all images together say.
        sheets={n: html.data_uri(pngs[n]) for n in sorted(pngs, key=lambda n: n != "mean_maps")},
    )
