"""What the inspect command does: tables on the terminal, inspect.json, inspect.html, a CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Sized
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich import box
from rich.table import Table

from gan_aug.data.image_table import ImageTable, concatenate
from gan_aug.data.prepare import load
from gan_aug.data.source import ExternalTest
from gan_aug.inspection.facts import Duplicates, Facts, Group, find_facts
from gan_aug.pages import html
from gan_aug.runtime.errors import warn
from gan_aug.runtime.files import write_text
from gan_aug.runtime.record import Run
from gan_aug.runtime.terminal import console, csv_of, printable
from gan_aug.settings.commands import InspectSettings

COLUMNS = 8
MOST_PRINTED = 20
"""Files and pairs that are printed; the page has all."""
OTHER_PICTURED = 3
"""Groups of duplicates within a class that are pictured on the page; the CSV has all."""
DUPLICATES = "duplicates.csv"
SHOWN_AT = 96
"""Pixels that a side of a small image is enlarged to, about."""


def inspect(settings: InspectSettings, run: Run) -> None:
    """Write what is in a data set into the run's folder; raise GanAugError if it is not read."""
    data = settings.data
    source = load(data)
    squeezed = source
    if data.fit != "squeeze":
        squeezed = load(settings.changed(InspectSettings, {"data.fit": "squeeze"}).data)
    facts = find_facts(source, squeezed, data.shares())
    where = source.notes.root
    every = concatenate(*source.tables().values())
    run.record(data={"root": where, "fingerprint": source.fingerprint()})
    facts.write(run.folder / "inspect.json")
    write_text(run.folder / DUPLICATES, _csv(facts))
    of_tests = {f"external test {name}": _of_test(one) for name, one in source.external.items()}
    about = _about(facts) | of_tests
    groups = [*facts.exact.all, *facts.near.all]
    conflicts = [group for group in groups if group.crosses_classes]
    others = [group for group in groups if not group.crosses_classes][:OTHER_PICTURED]
    sheets, means = dict[str, str](), dict[str, str]()
    for name in facts.classes:
        of_class = every.of_class(name)
        sheets[name] = _sheet(of_class, settings.images, settings.seed)
        means[name] = _mean(of_class)
    page = html.render(
        Path(__file__).with_name("inspect.html.j2"),
        {"printable": printable},
        facts=facts,
        name=data.name,
        where=where,
        fingerprint=source.fingerprint(),
        image_size=data.image_size,
        totals={name: sum(counts.values()) for name, counts in facts.images.items()},
        sheets=sheets,
        means=means,
        duplicates=_kinds(facts),
        conflicts=_pictures(every, conflicts),
        others=_pictures(every, others),
        duplicates_file=DUPLICATES,
        about=about,
    )
    write_text(run.folder / "inspect.html", page)
    _print(facts, f"{data.name} ({where})", about)
    for one in source.external.values():
        for warning in one.facts["warnings"]:
            warn(warning)
    print(f"page        {run.folder / 'inspect.html'}")
    print(f"duplicates  {run.folder / DUPLICATES}")
    print(f"all facts   {run.folder / 'inspect.json'}")


def _sheet(table: ImageTable, count: int, seed: int) -> str:
    order = np.random.default_rng(seed).permutation(len(table))[:count]
    return _picture(np.asarray(table.images[np.sort(order)]), COLUMNS)


def _mean(table: ImageTable) -> str:
    mean = np.asarray(table.images).mean(axis=0, keepdims=True)
    return _picture(mean.round().astype(np.uint8), 1)


def _picture(images: NDArray[np.uint8], columns: int) -> str:
    shown = html.sheet(images, columns)
    times = max(1, round(SHOWN_AT / images.shape[-1]))
    shown = shown.resize((times * shown.width, times * shown.height), Image.Resampling.BICUBIC)
    return html.data_uri(html.png_of(shown))


def _pictures(table: ImageTable, groups: list[Group]) -> list[tuple[Group, str]]:
    row_of = {path: row for row, path in enumerate(table.paths.tolist())}
    rows = [[row_of[path] for path in group.paths[:COLUMNS]] for group in groups]
    pictures = [_picture(np.asarray(table.images[each]), len(each)) for each in rows]
    return list(zip(groups, pictures, strict=True))


def _csv(facts: Facts) -> str:
    """Return a row for each file of each group of duplicates; those across classes come first."""
    groups = [(kind, group) for kind, alike in _kinds(facts).items() for group in alike.all]
    groups.sort(key=lambda item: not item[1].crosses_classes)
    crosses = ("in_several_classes", "in_several_splits")
    rows: list[Sequence[object]] = [["group", "alike", *crosses, "class", "split", "path"]]
    for number, (kind, group) in enumerate(groups, start=1):
        several = [str(x).lower() for x in (group.crosses_classes, group.crosses_splits)]
        for name, split, path in zip(group.classes, group.splits, group.paths, strict=True):
            rows.append([number, kind, *several, name, split, printable(path)])
    return csv_of(*rows)


def _kinds(facts: Facts) -> dict[str, Duplicates]:
    return {"same bytes": facts.exact, "nearly the same pixels": facts.near}


def _of_test(one: ExternalTest) -> str:
    """Say what is in a set of `data.external`, and what was left out of it."""
    facts = one.facts
    counts = [f"{n} {name}" for name, n in facts["images"].items()]
    known = f"{facts['patients']} patients" if facts["patients_known"] else "patients not known"
    left_out = [f"{n} {why}" for why, n in facts["left_out"].items()]
    near = [f"{n} nearly the same as own images"] if (n := facts["nearly_the_same"]) else []
    without = f"; left out: {', '.join(left_out)}" if left_out else ""
    return ", ".join([*counts, known, *near]) + without


def _print(facts: Facts, title: str, about: dict[str, str]) -> None:
    terminal = console()
    counts = Table(title=printable(title), box=box.SIMPLE)
    counts.add_column("images" if facts.patients is None else "images (patients)")
    for split in facts.images:
        counts.add_column(split, justify="right")
    for name in facts.classes:
        cells = [str(by_class[name]) for by_class in facts.images.values()]
        if facts.patients is not None:
            of_patients = facts.patients.values()
            cells = [f"{n} ({by[name]})" for n, by in zip(cells, of_patients, strict=True)]
        counts.add_row(name + (" (positive)" if name == facts.positive else ""), *cells)
    terminal.print(counts)
    beside = Table(box=box.SIMPLE, show_header=False)
    for key, value in about.items():
        beside.add_row(key, printable(value))
    terminal.print(beside)
    for kind, groups in _kinds(facts).items():
        across = [group for group in groups.all if group.crosses_classes]
        for group in across[:MOST_PRINTED]:
            print(printable(f"  in two classes, {kind}: {', '.join(group.paths)}"))
        _print_more(across, DUPLICATES)
    for reason, count in facts.skipped_by_reason.items():
        print(printable(f"  skipped {count} file{'s' * (count > 1)}: {reason}"))
    for name, reason in list(facts.skipped.items())[:MOST_PRINTED]:
        print(printable(f"  skipped {name}: {reason}"))
    _print_more(facts.skipped, "inspect.html")
    for warning in facts.warnings:
        warn(warning)


def _print_more(listed: Sized, file: str) -> None:
    if len(listed) > MOST_PRINTED:
        print(f"  and {len(listed) - MOST_PRINTED} more, in {file}")


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
        "skipped": str(sum(facts.skipped_by_reason.values())),
    }


def _most(counts: dict[str, int]) -> str:
    ordered = Counter(counts).most_common()
    more = f" and {len(ordered) - 4} others" if len(ordered) > 4 else ""
    return ", ".join(f"{name} ({count})" for name, count in ordered[:4]) + more


def _groups(groups: Duplicates) -> str:
    if not groups.groups:
        return "none"
    return (
        f"{groups.extra} extra copies; {groups.across_splits} images across splits, "
        f"{groups.across_classes} across classes"
    )
