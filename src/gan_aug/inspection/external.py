"""What is in a folder of somebody's generated images, and which of them the data set has too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel
from rich import box
from rich.table import Table

from gan_aug.data.external_files import decode_set, digest_of, files_by_class, find_set, unread_of
from gan_aug.data.external_set import LOOKED_AT, load_small
from gan_aug.data.image_table import concatenate
from gan_aug.data.near_duplicates import near_duplicates, nearest_alike
from gan_aug.data.prepare import load
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import write_text
from gan_aug.runtime.record import Run
from gan_aug.runtime.stored_model import Stored
from gan_aug.runtime.terminal import console, csv_of, printable
from gan_aug.settings.by_name import normal
from gan_aug.settings.commands import InspectSettings

FACTS, COPIES = "inspect.json", "copies.csv"


class Copy(BaseModel):
    """An image of the set that is one picture with an image of the data set."""

    path: str
    real: str
    split: str
    same_bytes: bool
    correlation: float


class SetFacts(Stored):
    """What is in an external set: inspect.json.

    Attributes:
        images: class to images.
        alike: class to images that are one picture with an earlier one of the set.
        sizes: of the files, to how many have it; so are `modes`.
        unread: file to why it is not read.
        copies: those of the data set's images, training images among them.
    """

    images: dict[str, int]
    alike: dict[str, int]
    sizes: dict[str, int]
    modes: dict[str, int]
    unread: dict[str, str]
    copies: list[Copy]


def inspect_external(settings: InspectSettings, run: Run) -> None:
    """Write what is in an external set into the run's folder.

    Raises:
        GanAugError: it, or the data set, cannot be read.
    """
    data, where = settings.data, f"external.dir={settings.external.dir}"
    folder = Path(settings.external.dir or "").expanduser()
    if data.root is None:
        raise GanAugError(
            f"{where}: needs the data set whose copies are looked for, data.root=DIR; what is in "
            f"the folder alone says data.root={settings.external.dir}"
        )
    tree = find_set(where, folder)
    source = load_small(data)
    files = files_by_class(where, tree, source.classes)
    names = [path for paths in files.values() for path in paths]
    digest = digest_of(where, folder, names)
    decoded = decode_set(where, folder, names, digest, data, **LOOKED_AT)
    run.record(data={"root": source.notes.root, "fingerprint": source.fingerprint()})

    every = concatenate(*source.tables().values())
    splits = np.repeat(list(source.tables()), [len(t) for t in source.tables().values()])
    rows = {digest: row for row, digest in enumerate(every.hashes.tolist())}
    alike = zip(*nearest_alike(decoded.images, np.asarray(every.images)), strict=True)
    # The same pixels as they are trained on: those that are small are like no original, enlarged.
    # And the file itself, where it is there; of one grey no picture is like any other.
    own = load(data)
    pixels = {
        image.tobytes(): row for row, image in enumerate(concatenate(*own.tables().values()).images)
    }
    size, channels = data.image_size, own.channels
    made = decode_set(where, folder, names, digest, data, size, channels, data.fit).images
    same_pixels = [pixels.get(image.tobytes()) for image in made]
    same_file = [rows.get(decoded.good[name]["sha256"]) for name in names]
    found = {row: (other, correlation) for row, other, correlation in alike}
    for same in (same_pixels, same_file):
        found |= {row: (other, 1.0) for row, other in enumerate(same) if other is not None}
    copies = [
        Copy(
            path=names[row],
            real=str(every.paths[other]),
            split=str(splits[other]),
            same_bytes=decoded.good[names[row]]["sha256"] in rows,
            correlation=round(float(correlation), 4),
        )
        for row, (other, correlation) in sorted(found.items())
    ]
    groups = near_duplicates(decoded.images)
    later = np.ones(len(names), bool)
    later[np.unique(groups, return_index=True)[1]] = False
    of_class = np.repeat(list(files), [len(paths) for paths in files.values()])
    known = decoded.good.values()
    facts = SetFacts(
        images={name: len(paths) for name, paths in files.items()},
        alike={name: int(later[of_class == name].sum()) for name in files},
        sizes=dict(Counter("{} x {}".format(*each["size"]) for each in known)),
        modes=dict(Counter(each["mode"] for each in known)),
        unread={path: why for path, why in tree.others.items() if "/" in path} | unread_of(tree),
        copies=copies,
    )
    facts.write(run.folder / FACTS)
    write_text(run.folder / COPIES, _csv(copies))
    _print(facts, f"{settings.external.dir}, beside {data.name} ({source.notes.root})")
    print(f"copies      {run.folder / COPIES}")
    print(f"all facts   {run.folder / FACTS}")


def _csv(copies: list[Copy]) -> str:
    header = ["path", "real", "split", "same_bytes", "correlation"]
    rows: list[Sequence[object]] = []
    for one in copies:
        paths = [printable(path) for path in (one.path, one.real)]
        rows.append([*paths, one.split, str(one.same_bytes).lower(), one.correlation])
    return csv_of(header, *rows)


def _print(facts: SetFacts, title: str) -> None:
    table = Table(
        title=printable(title),
        caption="near duplicates: of an earlier image of the set, and of the data set's images",
        box=box.SIMPLE,
    )
    table.add_column("class")
    splits = sorted({one.split for one in facts.copies})
    for column in ("images", "of its own", *(f"of {split}" for split in splits)):
        table.add_column(column, justify="right")
    for name, n in facts.images.items():
        own = [one for one in facts.copies if normal(one.path.partition("/")[0]) == normal(name)]
        of = Counter(one.split for one in own)
        table.add_row(name, str(n), str(facts.alike[name]), *(str(of[s]) for s in splits))
    console().print(table)
    for what, counts in (("sizes", facts.sizes), ("file modes", facts.modes)):
        listed = ", ".join(f"{name} ({n})" for name, n in Counter(counts).most_common(4))
        print(f"{what:<12}{printable(listed)}")
    for path, why in list(facts.unread.items())[:20]:
        print(printable(f"  not read {path}: {why}"))
