"""Kaggle's "Chest X-Ray Images (Pneumonia)" (Kermany et al. 2018), as real copies come."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gan_aug.data.classes import Classes
from gan_aug.data.decode import decode_files
from gan_aug.data.source import Source
from gan_aug.data.sources.entries import Entry, notes_of, readable, reading, tables
from gan_aug.data.sources.tree import find_files
from gan_aug.runtime.errors import GanAugError, require

KAGGLE_NAME = "paultimothymooney/chest-xray-pneumonia"
FOLDERS = ("normal", "pneumonia")
TARGETS = {
    "class": Classes(FOLDERS, "pneumonia"),
    "subtype": Classes(("normal", "bacteria", "virus")),
}
"""What a classifier can be asked: the class folders, or the kind of pneumonia in the file names."""

NOT_IN_LAYOUT = "no .jpeg, .jpg or .png in train|test / NORMAL|PNEUMONIA"

_IMAGE = re.compile(r"(train|test)/(normal|pneumonia)/[^/]+\.(?:jpe?g|png)", re.IGNORECASE)
_PNEUMONIA = re.compile(r"(person\d+)_(bacteria|virus)_\d+")
_NORMAL = re.compile(r"(?:NORMAL2-)?(IM-\d+)-\d+")


def parse_name(stem: str) -> tuple[str | None, str | None]:
    """Return the patient and the kind of pneumonia that a file's name, less its ending, tells.

    `NORMAL2-IM-0123-0001` and `IM-0123-0001` may or may not be one person; they are treated as
    one, which can only make the validation cut stricter.
    """
    if match := _PNEUMONIA.match(stem):
        return match[1], match[2]
    if match := _NORMAL.match(stem):
        return match[1], None
    return None, None


def find_root(root: Path) -> Path:
    """Return the folder with train/ and test/, two deep at most; raise GanAugError if none has."""
    if not root.is_dir():
        raise GanAugError(f"data.root={root}: no such folder; name your copy of the data set")
    for folder in (root, root / "chest_xray", root / "chest_xray/chest_xray"):
        if (folder / "train").is_dir() and (folder / "test").is_dir():
            return folder
    raise GanAugError(
        f"data.root={root}: has no train/ and test/ (each with NORMAL/ and PNEUMONIA/); "
        "point data.root at the folder that holds them"
    )


def download() -> Path:
    """Download the data set with kagglehub; raise GanAugError if that fails."""
    require("kagglehub", "data.download=true")
    import kagglehub

    try:
        return Path(kagglehub.dataset_download(KAGGLE_NAME))
    except Exception as error:
        raise GanAugError(
            f"data.download=true: kagglehub could not fetch {KAGGLE_NAME} "
            f"({type(error).__name__}: {error}); download it by hand and set data.root"
        ) from error


def list_images(paths: Iterable[str], root: Path) -> list[Entry]:
    """List the images below `root`, those of train first, of each split the normal ones first.

    Raises:
        GanAugError: a class has no images in a split, or two folders.
    """
    images: dict[tuple[str, str], list[str]] = {
        (split, name): [] for split in ("train", "test") for name in FOLDERS
    }
    for path in paths:
        if match := _IMAGE.fullmatch(path):
            images[match[1].lower(), match[2].lower()].append(path)
    for (split, name), paths_of_class in images.items():
        if not paths_of_class:
            raise GanAugError(
                f"{root / split / name.upper()}: no {name} image in {split}/ is read; the class "
                "folder is missing, or has no .jpeg, .jpg or .png file that data.exclude leaves"
            )
        one, *others = sorted({path.rpartition("/")[0] for path in paths_of_class})
        if others:
            raise GanAugError(
                f"{root / one} and {others[0]}: two folders of one class; put the images into one "
                "of them and remove the other"
            )
    return [
        Entry(path, name, split, parse_name(Path(path).stem)[0])
        for (split, name), paths_of_class in images.items()
        for path in paths_of_class
    ]


def contradictions(entries: Iterable[Entry]) -> list[str]:
    """Say, in a sentence a folder, where file names contradict the class folder they lie in."""
    wrong, total = defaultdict[str, list[str]](list), Counter[str]()
    for entry in entries:
        folder, _, file = entry.path.rpartition("/")
        total[folder] += 1
        pattern = _PNEUMONIA if folder.lower().endswith("/normal") else _NORMAL
        if pattern.match(file):
            wrong[folder].append(file)
    return [
        f"{len(files)} of {total[folder]} files in {folder} are named like the other class "
        f"({files[0]}): are the class folders swapped?"
        for folder, files in wrong.items()
    ]


@dataclass(frozen=True)
class ChestXray:
    """Folder of X-rays in Kaggle's layout, fetched with kagglehub if `download` and no `root`.

    A `val/` folder (16 images in Kaggle's copy) is not used: validation is cut by patient. Every
    file below the root is either read, or listed with its reason. Attributes are as in
    `gan_aug.settings.data.DataSettings`; `target` is a key of `TARGETS`.
    """

    root: str | None
    download: bool
    on_bad_file: str
    target: str = "class"
    fit: str = "squeeze"
    exclude: Sequence[str] | str | None = None

    def load(self, image_size: int, channels: int, cache_dir: Path) -> Source:
        """Decode (or map from the cache) both splits; raise GanAugError for bad layout or files."""
        if self.root is None and not self.download:
            raise GanAugError(
                "data=chest_xray needs data.root=DIR (your copy of the data set), or "
                "data.download=true (fetched with kagglehub), or data=phantom (made-up images)"
            )
        folder = download() if self.root is None else Path(self.root).expanduser()
        with reading(folder):
            root = find_root(folder)
            tree = find_files(folder, self.exclude, self.on_bad_file)
        above = "".join(f"{part}/" for part in root.relative_to(folder).parts)
        paths = sorted({*tree.images, *tree.folders})  # a folder called x.jpeg is a bad file
        inside = [path[len(above) :] for path in paths if path.startswith(above)]
        entries = list_images(inside, root)
        names = [entry.path for entry in entries]
        read = {above + name for name in names}
        tree.list_unread(read, NOT_IN_LAYOUT, lambda _: NOT_IN_LAYOUT)
        decoded = decode_files(
            root, names, image_size, channels, cache_dir, self.on_bad_file, self.fit
        )
        entries = readable(root, entries, decoded)
        classes, said = TARGETS[self.target], contradictions(entries)
        if self.target == "subtype":
            entries = [_with_subtype(root, entry) for entry in entries]
        # Without an id in its name an image counts as a patient of its own.
        patients = [entry.patient or entry.path for entry in entries]
        parts = tables(entries, patients, decoded, classes)
        notes = notes_of(root, entries, decoded, tree, *said)
        return Source(parts["train"], parts["test"], notes=notes)


def _with_subtype(root: Path, entry: Entry) -> Entry:
    subtype = "normal" if entry.label == "normal" else parse_name(Path(entry.path).stem)[1]
    if subtype is None:
        raise GanAugError(
            f"{root / entry.path}: its name says neither bacteria nor virus, which "
            "data.target=subtype needs; rename or remove it, or set data.target=class"
        )
    return replace(entry, label=subtype)
