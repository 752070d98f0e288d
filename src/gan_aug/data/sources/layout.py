"""Which folders are splits and which are classes; which images are masks.

The rule, from the folder that `data.root` names downwards:

1. Folders that are named as splits are (`SPLITS`, in any case) are splits where train is among
   them and they hold folders of images. What stands beside them is not read.
2. Else, and within each split, every folder with images is a class, and all images in it, at any
   depth, are of that class. Images that lie outside the class folders are not read.
3. Class folders that all hold such splits (`A/train/`, `A/test/`) are classes with these splits.
4. Folders that hold the same folders (folds, sites, patients above their classes) are not taken for
   classes: masks, told by their names, and patients, told by `data.patient_regex`, are the
   exception. Nor are folders whose names only contain those of splits (trainA, testA, val2017).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from gan_aug.data.sources.entries import SPLITS, Entry
from gan_aug.data.sources.patients import PatientPattern
from gan_aug.data.sources.tree import EXCLUDED, HIDDEN, UNREADABLE, Tree
from gan_aug.runtime.errors import GanAugError, see
from gan_aug.settings.by_name import normal

_PACKED = {".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"}
_WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_MASK = r"(?:masks?|seg(?:mentation)?s?|gt|ground[ _-]?truth|annotations?|labels?|rois?)"
_MASK_FOLDER = re.compile(rf"(?:.*[ _.-])?{_MASK}", re.IGNORECASE)
_AFTER = re.compile(rf"(?P<image>.+?)(?P<how>[ _.-]+{_MASK})(?:[ _-]?\d+)?", re.IGNORECASE)
_BEFORE = re.compile(rf"(?P<how>{_MASK}[ _.-]+)(?P<image>.+)", re.IGNORECASE)


@dataclass(frozen=True)
class _Folder:
    """A folder with images: its path below the root, and those of all images at any depth."""

    path: str
    images: list[str]

    @property
    def name(self) -> str:
        """Its own name, in the form that names are compared in."""
        return normal(self.path.rpartition("/")[2])

    @property
    def split(self) -> str | None:
        return SPLITS.get(self.name.casefold())

    @property
    def start(self) -> str:
        """What the paths of all in it begin with."""
        return f"{self.path}/" if self.path else ""

    def below(self, path: str) -> str:
        return path[len(self.start) :]

    @property
    def loose(self) -> list[str]:
        return [path for path in self.images if "/" not in self.below(path)]

    @cached_property
    def folders(self) -> list[_Folder]:
        """The folders in it that hold images."""
        inside = defaultdict[str, list[str]](list)
        for path in self.images:
            name, slash, _ = self.below(path).partition("/")
            if slash:
                inside[self.start + name].append(path)
        return [_Folder(path, images) for path, images in inside.items()]


class _Class(NamedTuple):
    """A folder of images of one class, and the split that it is in, if any."""

    name: str
    split: str | None
    folder: _Folder


@see("classes")
def find_entries(root: Path, tree: Tree, pattern: PatientPattern) -> list[Entry]:
    """Find the images of class folders; the tree lists every other file below the root.

    Raises:
        GanAugError: there are no class folders, or it is not clear which they are.
    """
    where, top = f"data.root={root}", _Folder("", tree.images)
    splits = _splits(where, top, of_folders=True)
    holders = [top] if "train" in splits else []
    """Folders that hold those of splits."""
    levels = dict[str | None, _Folder](splits) if holders else {None: top}
    classes = [
        _Class(folder.name, split, folder)
        for split, level in levels.items()
        for folder in _classes_in(where, level, tree)
    ]
    if not holders:
        classes, holders = _with_splits_inside(where, classes)
    for holder in holders:
        known = _splits(where, holder, of_folders=not holder.path).values()
        tree.warnings += [
            f"{folder.path}/ is named like a split, and is not called train, val or test or "
            f"holds no class folders: its {tree.count(folder.path)} files are not read"
            for folder in holder.folders
            if folder not in known and _split_words(folder.name)
        ]
    _check_names(where, classes)
    _refuse_repeated(where, classes, pattern)
    entries = [
        Entry(path, name, split, pattern.patient(folder.below(path)))
        for name, split, folder in classes
        for path in folder.images
    ]
    beside = {holder.path: "beside the folders of the splits" for holder in holders}
    tree.list_unread(
        {entry.path for entry in entries},
        "an image outside the class folders",
        lambda path: beside.get(path.rpartition("/")[0], "a folder without images"),
    )
    return entries


def _splits(where: str, top: _Folder, of_folders: bool = False) -> dict[str, _Folder]:
    """Return the folders that are named as splits; `of_folders`: only those that hold folders."""
    named: dict[str, _Folder] = {}
    for folder in top.folders:
        if folder.split is None or (of_folders and not folder.folders):
            continue
        other = named.setdefault(folder.split, folder)
        if other is not folder:
            raise GanAugError(
                f"{where}: {other.path} and {folder.path} are two folders of one split; put "
                "the images into one of them and remove the other"
            )
    return named


def _classes_in(where: str, top: _Folder, tree: Tree) -> list[_Folder]:
    _check_no_splits(where, top)
    others = {path: why for path, why in tree.others.items() if path.startswith(top.start)}
    named = {top.path, *(folder.path for folder in top.folders)}
    for path in sorted({*tree.folders, *(path[:-1] for path in others if path[-1] == "/")} - named):
        if path.rpartition("/")[0] == top.path:
            _check_no_class(where, path, tree)
    if not top.folders:
        loose = f"; {len(top.images)} images lie in it itself" if top.images else ""
        packed = [top.below(path) for path in others if Path(path).suffix.lower() in _PACKED]
        if packed and "/" not in packed[0]:
            loose += f"; unpack {packed[0]}"
        if any(why.startswith(EXCLUDED) for why in others.values()):
            loose += "; data.exclude leaves files out: mend it"
        raise GanAugError(
            f"{where}: {top.path or 'it'} has no folder with images{loose}; it needs a folder for "
            "each class, in it or in its train/, val/ and test/"
        )
    return top.folders


def _check_no_splits(where: str, top: _Folder) -> None:
    """Check that folders among classes that are named as splits are classes (test and control)."""
    level = top.folders
    splits = _splits(where, top, of_folders=True)
    inside = {folder.name for split in splits.values() for folder in split.folders}
    alike = not any(folder.loose or folder.name in inside for folder in level)
    if splits and (len(level) == len(splits) or not alike):
        names = " and ".join(f"{split.path}/" for split in splits.values())
        raise GanAugError(
            f"{where}: named as splits, {names} stand without training images beside them; put "
            "these into a folder named train, or give the folder another name if it is a class"
        )
    named: dict[str, str] = {}
    whole: dict[str, str] = {}
    for folder in level:
        words = _split_words(folder.name)
        if folder.split:
            whole.setdefault(folder.split, f"{folder.path}/")
        elif len(words) == 1:
            named.setdefault(words.pop(), f"{folder.path}/")
    if "train" in named and len(named) > 1:
        raise GanAugError(
            f"{where}: {' and '.join(named.values())} are named like splits, so they are not taken "
            "for classes; put a folder for each class into train/, val/ and test/, or say in "
            "data.table what each image is"
        )
    if len(whole) > 1:
        raise GanAugError(
            f"{where}: {' and '.join(whole.values())} hold images and no class folders; make a "
            "folder for each class in them, or say in data.table what each image is"
        )


def _split_words(name: str) -> set[str]:
    """Return the splits whose names are words of a name."""
    return {SPLITS[w.casefold()] for w in _WORD.findall(name) if w.casefold() in SPLITS}


def _check_no_class(where: str, path: str, tree: Tree) -> None:
    """Check that a folder without images, among those of classes, is none; warn of some."""
    own = tree.others.get(f"{path}/")
    if own is not None and not own.startswith(UNREADABLE):
        if own.startswith(EXCLUDED):
            said = f"{own} leaves out the whole folder {path}/, which is no class then"
            tree.warnings.append(said)
        elif f"{path}/" not in tree.inside:
            tree.warnings.append(f"{path}/ is no class: {own}")
        return
    remedy = f"leave the folder out with 'data.exclude=[\"{path}/*\"]'"
    for name, reason in tree.others.items():
        if not name.startswith(f"{path}/") or name in tree.inside:
            continue
        if reason.startswith(UNREADABLE):
            raise GanAugError(f"{where}: {name} {reason}; allow reading it, or {remedy}")
        if reason != HIDDEN and not reason.startswith(EXCLUDED):
            raise GanAugError(
                f"{where}: {path}/ stands among the class folders and has no image; "
                f"{name[len(path) + 1 :]} is none ({reason}). Save its files as PNG, JPEG or "
                f"DICOM, or {remedy}"
            )


def _with_splits_inside(where: str, classes: list[_Class]) -> tuple[list[_Class], list[_Folder]]:
    """Return the splits in class folders as those of the classes, and who has them; if any."""
    inside = {each.folder.path: _splits(where, each.folder) for each in classes}
    divided = [path for path, splits in inside.items() if splits]
    if not divided:
        return classes, []
    if whole := [path for path, splits in inside.items() if "train" not in splits]:
        raise GanAugError(
            f"{where}: {next(iter(inside[divided[0]].values())).path}/ is named as a split, and "
            f"{whole[0]}/ has no train/; give every class its train/, or rename the folder"
        )
    parts = [
        _Class(each.name, split, folder)
        for each in classes
        for split, folder in inside[each.folder.path].items()
    ]
    return parts, [each.folder for each in classes]


def _check_names(where: str, classes: list[_Class]) -> None:
    """Refuse a single class, and two folders that only forms of Unicode tell apart."""
    path_of: dict[tuple[str, str | None], str] = {}
    for name, split, folder in classes:
        if path_of.setdefault((name, split), folder.path) != folder.path:
            raise GanAugError(
                f"{where}: two folders are named {name}, in two forms of Unicode (NFC, and "
                "NFD as macOS writes it); put the images into one of them and remove the other"
            )
    if len({each.name for each in classes}) < 2:
        remedy = "say in data.table what each image is, or add a folder for another class"
        if not classes[0].folder.loose:
            remedy = "name the folder that holds the class folders themselves"
        raise GanAugError(
            f"{where}: has only the class {classes[0].name}; a classifier needs two classes or "
            f"more; {remedy}"
        )


def _refuse_repeated(where: str, classes: list[_Class], pattern: PatientPattern) -> None:
    """Refuse folders that hold the same folders: these may be the classes."""
    inside: dict[str, dict[str, _Folder]] = {}
    for each in classes:
        names = inside.setdefault(each.name, {})
        names |= {f.name: f for f in each.folder.folders if not _MASK_FOLDER.fullmatch(f.name)}
    folders = [folder for names in inside.values() for folder in names.values()]
    times = Counter(folder.name for folder in folders)
    repeated = {name for name, n in times.items() if n > 1}
    common = {name for name, n in times.items() if n == len(inside)}
    mostly = all(2 * len(repeated & {*names}) > len(names) for names in inside.values())
    in_all = len(common) > 1 and 2 * len(common) > min(map(len, inside.values()))
    loose = sum(len(each.folder.loose) for each in classes)
    if (
        len(repeated) < 2
        or not (mostly or in_all)
        or 2 * loose > sum(len(each.folder.images) for each in classes)
        or all(_is_patient(folder, pattern) for folder in folders)
    ):
        return
    one, other, *_ = sorted(repeated)
    above = " and ".join(sorted(name for name, names in inside.items() if one in names)[:2])
    raise GanAugError(
        f"{where}: folders such as {above} hold the same folders ({one}, {other}), so they are not "
        f"taken for classes. Name a folder that holds {one} and {other} if these are the classes; "
        "call the folders above them train, val and test if they are splits; set "
        f"'data.patient_regex=([^/]+)/.*' if {one} and {other} are patients; else say in "
        "data.table what each image is"
    )


def _is_patient(folder: _Folder, pattern: PatientPattern) -> bool:
    above = _Folder(folder.path.rpartition("/")[0], [])
    return any(pattern.tells_folder(above.below(path)) for path in folder.images)


def warn_of_masks(paths: Sequence[str]) -> list[str]:
    """Say which images look like masks of others, and how to leave them out: one line, or none.

    They lie in folders such as `masks/`, or are called NAME_mask beside NAME.
    """
    there = {path.rpartition(".")[0] or path for path in paths}
    masks = {path: pattern for path in paths if (pattern := _mask_pattern(path, there))}
    if not masks or len(masks) == len(paths):  # with_mask/ and without_mask/ are classes
        return []
    patterns = ",".join(f'"{pattern}"' for pattern in sorted(set(masks.values())))
    return [
        f"{len(masks)} of {len(paths)} images look like masks of others, such as "
        f"{min(masks)}: if they are, leave them out with 'data.exclude=[{patterns}]'"
    ]


def _mask_pattern(path: str, there: set[str]) -> str | None:
    """Return the pattern that leaves out a file, where it looks like a mask."""
    *folders, name = PurePosixPath(path).parts
    for depth, folder in enumerate(folders):
        if _MASK_FOLDER.fullmatch(folder):
            return f"*/{folder}/*" if depth else f"{folder}/*"
    stem = name.rpartition(".")[0] or name
    for pattern, around in ((_AFTER, "*{}*"), (_BEFORE, "*/{}*")):
        match = pattern.fullmatch(stem)
        if match and "/".join([*folders, match["image"]]) in there:
            return around.format(match["how"])
    return None
