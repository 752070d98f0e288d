"""What an evaluation leaves: metrics.json, quality.csv, the closest pairs, a table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from gan_aug.data.image_table import Images
from gan_aug.evaluation.evaluator import Evaluator, discriminator_of
from gan_aug.evaluation.measured import BASELINE, GENERATED, ClassQuality, Quality, misses
from gan_aug.evaluation.subject import Subject
from gan_aug.metrics.memorisation import closest_pairs
from gan_aug.metrics.sample import Sample
from gan_aug.pages.figure import new_figure
from gan_aug.runtime.files import replace_file, write_json, write_text
from gan_aug.runtime.record import Run
from gan_aug.runtime.run_record import RESULT
from gan_aug.runtime.terminal import console, csv_of, quieten
from gan_aug.settings.commands import EvaluateSettings

GOOD = {"lower": "↓", "higher": "↑", "baseline": "="}

COLUMNS = 10
"""Of a picture of closest pairs."""
HEADLINE = ("kid", "recall", "ms_ssim", "swd", "copying_pixel")
"""What the table of a multirun shows, as far as it was measured."""


def evaluate(settings: EvaluateSettings, subject: Subject, run: Run) -> None:
    """Measure a subject and write the results into the run's folder.

    Raises:
        GanAugError: too few real images, or an extractor that is not to be had.
    """
    quieten()
    held_out = subject.held_out(settings.quality.count, list(subject.generated))
    evaluator = Evaluator(settings.quality, subject.splits)
    classes: dict[str, ClassQuality] = {}
    for name, made in subject.generated.items():
        saved, train = subject.saved, subject.splits.train
        label = subject.splits.classes.label(name)
        discriminator = None if saved is None else discriminator_of(saved.gan, label)
        rows, unseen = {GENERATED: made.images}, held_out.baseline.of_class(name).images
        if settings.controls:
            rows |= broken_generators(train.of_class(name).images, unseen, settings.quality.seed)
        measured = evaluator.against_baseline(
            rows, name, held_out, discriminator, made.sources_in(train)
        )
        share = evaluator.real_passes(name, held_out)
        classes[name] = measured.model_copy(update={"real_passes": share})
        n = measured.images["measured"]
        for space in ("pixel", "feature"):
            pair = [evaluator.sample(images[:n]) for images in (made.images, unseen)]
            figure = pairs_figure(pair[0], pair[1], evaluator.train_sample(name), space)
            path = run.folder / f"closest_{space}_{name}.png"
            replace_file(path, partial(figure.savefig, format="png"))
    right = evaluator.right_on_unseen(held_out)
    quality = evaluator.quality(classes, right)
    headline = {
        f"{name}_{value}": one.values[GENERATED][value]
        for name, one in classes.items()
        for value in HEADLINE
        if value in one.values[GENERATED]
    }
    numbers = {"headline": headline} | quality.model_dump(exclude_none=True)
    if (external := subject.external) is not None:
        near = [one.model_dump() for one in external.near]
        said = {"seen": external.seen, "sha256": external.sha256, "near": near}
        numbers["external"] = said | {"copies": external.copies}
    write_json(run.folder / RESULT, numbers)
    write_text(run.folder / "quality.csv", _csv(quality))
    terminal = console()
    if not terminal.is_terminal:  # a log has no edge
        terminal = console(width=120)
    for name in classes:
        terminal.print(table_of(quality, name))
        print(_verdict(quality, name))
    shares = ", ".join(f"{100 * share:.1f} % of {name}" for name, share in right.items())
    print(f"reference classifier right on {shares} unseen real images")
    print(f"results     {run.folder / 'metrics.json'}")
    print(f"copies?     {run.folder}/closest_*.png")


def broken_generators(train: Images, unseen: Images, seed: int) -> dict[str, Images]:
    """Return what generators with a known fault would make, as many images as `unseen` has.

    That is `copies` of the training images, `one image` again and again (a collapse), `flipped`
    real images (left and right exchanged) and `noise` with the mean and spread of each pixel.
    """
    n = len(unseen)
    random = np.random.default_rng(seed)
    mean, std = unseen.mean(axis=0), unseen.std(axis=0)
    noise = mean + std * random.standard_normal(unseen.shape)
    return {
        "copies": train[np.resize(random.permutation(len(train)), n)],
        "one image": np.repeat(unseen[:1], n, axis=0),
        "flipped": np.ascontiguousarray(unseen[..., ::-1]),
        "noise": noise.round().clip(0, 255).astype(np.uint8),
    }


def pairs_figure(generated: Sample, unseen: Sample, train: Sample, space: str) -> Figure:
    """Draw the closest pairs: generated images over unseen real ones, each with its neighbour.

    Neighbours are the GAN's training images; `space` is `pixel` or `feature`.
    """
    figure = new_figure(figsize=(11.5, 5.6), layout="constrained", dpi=120)
    axes = figure.subplots(4, COLUMNS, squeeze=False)
    unit = "RMS difference of pixels, 0 to 255" if space == "pixel" else "distance of features"
    figure.suptitle(
        f"The {COLUMNS} of {len(generated)} generated images nearest to a training image, and the "
        f"same for {len(unseen)} unseen real ones ({unit})",
        fontsize=10,
    )
    blocks = (("generated", generated), ("unseen real", unseen))
    for block, (title, sample) in enumerate(blocks):
        rows, neighbours, distance = closest_pairs(sample, train, space, COLUMNS)
        for column in range(COLUMNS):
            upper, lower = axes[2 * block, column], axes[2 * block + 1, column]
            if column < len(rows):
                pair = sample.images[rows[column]], train.images[neighbours[column]]
                for axis, image in zip((upper, lower), pair, strict=True):
                    picture = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
                    axis.imshow(picture, cmap="gray", vmin=0, vmax=255)
                upper.set_title(f"{distance[column]:.3g}", fontsize=8)
            for axis in (upper, lower):
                axis.set_xticks([])
                axis.set_yticks([])
        axes[2 * block, 0].set_ylabel(title, fontsize=9)
        axes[2 * block + 1, 0].set_ylabel("nearest\ntraining", fontsize=9)
    return figure


def _verdict(quality: Quality, name: str) -> str:
    """Return a line that says whether the GAN of a class passes the gate."""
    missed = misses(quality, name)
    if missed is None:
        return f"{name}: the gate (quality.gate) was not measured"
    reach = ", ".join(f"{value} within {r:g}" for value, r in (quality.gate or {}).items())
    passed = f"misses the gate by {', '.join(missed)}" if missed else "passes the gate"
    share = quality.classes[name].real_passes
    alone = "not measured" if share is None else f"{100 * share:.0f} %"
    return f"{name}: {passed} ({reach} of unseen real images; real images in their place: {alone})"


def _csv(quality: Quality) -> str:
    """Return a row for each class, set of images and value, each with what it depends on."""
    rows: list[Sequence[object]] = [
        [name, title, metric, value, quality.good.get(metric, "lower"), n, quality.extractor]
        for name, measured in quality.classes.items()
        for n in [measured.images["measured"]]
        for title, values in measured.values.items()
        for metric, value in values.items()
    ]
    return csv_of(["class", "images", "metric", "value", "good", "n", "extractor"], *rows)


def table_of(quality: Quality, name: str) -> Table:
    """Return the table of one class: a row for each value, a column for each set of images."""
    measured = quality.classes[name]
    titles = [GENERATED, BASELINE, *(t for t in measured.values if t not in (GENERATED, BASELINE))]
    n = measured.images["measured"]
    table = Table(
        title=f"{name}, N = {n}, features of {quality.extractor}; baseline: unseen real images",
        caption="↓ lower is better, ↑ higher is better, = as the baseline is best",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", no_wrap=True)
    for title in titles:
        shown = "baseline" if title == BASELINE else title
        table.add_column(shown, justify="right", no_wrap=True)
    for value, good in quality.good.items():
        numbers = [measured.values[t].get(value) for t in titles]
        if any(number is not None for number in numbers):
            cells = ["" if number is None else f"{number:.3g}" for number in numbers]
            table.add_row(f"{GOOD[good]} {value}", *cells)
    return table
