"""What the inspect command does: tables on the terminal, inspect.json, inspect.html."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from rich import box
from rich.console import Console
from rich.table import Table

from gan_aug.data.image_table import ImageTable, concatenate
from gan_aug.data.prepare import load
from gan_aug.inspection.facts import Facts, Groups, find_facts, tables_of
from gan_aug.pages import html
from gan_aug.run.errors import warn
from gan_aug.run.files import write_json, write_text
from gan_aug.run.record import Run
from gan_aug.run.typed import to_plain

COLUMNS = 8
MOST_SKIPPED = 20
"""Files that are listed; inspect.json has all."""
SHOWN_AT = 96
"""Pixels that a side of a small image is enlarged to, about."""


def inspect(cfg: DictConfig, run: Run) -> None:
    """Read a data set and write what is found into the run's folder.

    Raises:
        GanAugError: it cannot be read.
    """
    source = load(cfg.data)
    squeezed = OmegaConf.merge(cfg, {"data": {"fit": "squeeze"}})
    facts = find_facts(source, source if cfg.data.fit == "squeeze" else load(squeezed.data))
    where = str(source.notes.get("root", "no folder"))
    every = concatenate(*tables_of(source).values())
    run.record(data={"root": where, "fingerprint": source.fingerprint()})
    write_json(run.folder / "inspect.json", to_plain(facts))
    page = html.render(
        Path(__file__).with_name("inspect.html.j2"),
        facts=facts,
        name=cfg.data.name,
        where=where,
        fingerprint=source.fingerprint(),
        image_size=cfg.data.image_size,
        totals={name: sum(counts.values()) for name, counts in facts.images.items()},
        sheets={name: _sheet(every.of_class(name), cfg.images, cfg.seed) for name in facts.classes},
        means={name: _mean(every.of_class(name)) for name in facts.classes},
        duplicates={"Same bytes": facts.exact, "Nearly the same pixels": facts.near},
        pairs=_pairs(every, facts.near),
        about=_about(facts),
        most=MOST_SKIPPED,
    )
    write_text(run.folder / "inspect.html", page)
    _print(facts, f"{cfg.data.name} ({where})")
    print(f"page        {run.folder / 'inspect.html'}")
    print(f"all facts   {run.folder / 'inspect.json'}")


def _sheet(table: ImageTable, count: int, seed: int) -> str:
    """Return images of a class, chosen at random, as one picture."""
    order = np.random.default_rng(seed).permutation(len(table))[:count]
    return _picture(np.asarray(table.images[np.sort(order)]), COLUMNS)


def _mean(table: ImageTable) -> str:
    mean = np.asarray(table.images).mean(axis=0).round().astype(np.uint8)
    return _picture(mean[None], 1)


def _picture(images: NDArray[np.uint8], columns: int) -> str:
    shown = html.sheet(images, columns)
    times = max(1, round(SHOWN_AT / images.shape[-1]))
    shown = shown.resize((times * shown.width, times * shown.height), Image.Resampling.BICUBIC)
    return html.data_uri(html.png_of(shown))


def _pairs(table: ImageTable, near: Groups) -> list[tuple[list[str], str]]:
    """Return the example groups of near duplicates: their files, and them side by side."""
    row_of = {path: row for row, path in enumerate(table.paths.tolist())}
    return [
        (paths[:COLUMNS], _picture(np.asarray(table.images[[row_of[p] for p in paths]]), COLUMNS))
        for paths in ([*group][:COLUMNS] for group in near.examples)
    ]


def _print(facts: Facts, title: str) -> None:
    console = Console()
    counts = Table(title=title, box=box.SIMPLE)
    counts.add_column("images" if facts.patients is None else "images (patients)")
    for split in facts.images:
        counts.add_column(split, justify="right")
    for name in facts.classes:
        cells = [_cell(facts, split, name) for split in facts.images]
        counts.add_row(name + (" (positive)" if name == facts.positive else ""), *cells)
    console.print(counts)
    about = Table(box=box.SIMPLE, show_header=False)
    for key, value in _about(facts).items():
        about.add_row(key, value)
    console.print(about)
    for name, reason in list(facts.skipped.items())[:MOST_SKIPPED]:
        print(f"  skipped {name}: {reason}")
    if len(facts.skipped) > MOST_SKIPPED:
        print(f"  and {len(facts.skipped) - MOST_SKIPPED} more, in inspect.json")
    for warning in facts.warnings:
        warn(warning)


def _cell(facts: Facts, split: str, name: str) -> str:
    images = str(facts.images[split][name])
    return images if facts.patients is None else f"{images} ({facts.patients[split][name]})"


def _about(facts: Facts) -> dict[str, str]:
    patients = f"not known for {facts.without_patient} images"
    if facts.patients is not None:
        patients = (
            f"known; {facts.patients_in_several_classes} in several classes, "
            f"{facts.patients_in_several_splits} in several splits"
        )
    return {
        "patients": patients,
        "colours": "RGB" if facts.channels == 3 else "grey",
        "file modes": _most(facts.modes),
        "sizes": _most(facts.sizes),
        "same bytes": _groups(facts.exact),
        "nearly the same pixels": _groups(facts.near),
        "skipped": str(len(facts.skipped)),
    }


def _most(counts: dict[str, int], n: int = 4) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    more = f" and {len(ordered) - n} others" if len(ordered) > n else ""
    return ", ".join(f"{name} ({count})" for name, count in ordered[:n]) + more


def _groups(groups: Groups) -> str:
    if not groups.groups:
        return "none"
    return (
        f"{groups.extra} extra copies; {groups.across_splits} images across splits, "
        f"{groups.across_classes} across classes"
    )
