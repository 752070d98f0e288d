"""Which folders are splits and which are classes.

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
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gan_aug.data.sources.masks import is_mask_folder
from gan_aug.data.sources.tree import EXCLUDED, HIDDEN, LeftOut, Tree, join
from gan_aug.run.errors import GanAugError

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Folders, and entries of a table's column `split`, to what they are."""

_PACKED = {".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"}

BESIDE_SPLITS = "beside the folders of the splits"
OUTSIDE = "an image outside the class folders"
WITHOUT_IMAGES = "a folder without images"

TellsPatient = Callable[[str], bool]
"""Whether the first folder of a path below a class folder is the patient."""


@dataclass(frozen=True)
class ClassFolder:
    """A folder of images of one class.

    Attributes:
        name: of the class.
        split: train, val or test; None: to be cut.
        tree: what lies in it.
    """

    name: str
    split: str | None
    tree: Tree


@dataclass(frozen=True)
class Entry:
    """One image, before it is read.

    Attributes:
        path: below the root, as it is on disk.
        label: its class.
        split: train, val or test; None: to be cut.
        patient: None where nothing tells it.
    """

    path: str
    label: str
    split: str | None
    patient: str | None


def find_classes(
    root: Path, tree: Tree, tells_patient: TellsPatient, left_out: LeftOut
) -> list[ClassFolder]:
    """Find the class folders, and list every file below the root that is not in one, or no image.

    Args:
        root: for messages.
        tree: what lies in it.
        tells_patient: from `data.patient_regex`.
        left_out: gets what is not read.

    Raises:
        GanAugError: there are none, or it is not clear which they are.
    """
    where = f"data.root={root}"
    splits = _splits_by_name(where, tree, of_folders=True)
    if "train" in splits:
        _list_rest(tree, list(splits.values()), left_out)
        found = [
            ClassFolder(folder.name, split, folder)
            for split, top in splits.items()
            for folder in _classes_in(where, top, left_out)
        ]
    else:
        found = [
            ClassFolder(folder.name, None, folder) for folder in _classes_in(where, tree, left_out)
        ]
        found = _with_splits_inside(where, found, left_out)
    _refuse_twins(where, found)
    _refuse_single(where, found)
    _refuse_repeated(where, found, tells_patient)
    for each in found:
        for folder in each.tree.walk():
            folder.list_others(left_out)
    return found


def _splits_by_name(where: str, tree: Tree, of_folders: bool = False) -> dict[str, Tree]:
    """Return the folders that are named as splits are.

    Args:
        where: for messages.
        tree: the folder that holds them.
        of_folders: take only those that hold folders of images.
    """
    found: dict[str, Tree] = {}
    for folder in tree.with_images:
        split = SPLITS.get(folder.name.casefold())
        if split is None or (of_folders and not folder.with_images):
            continue
        if split in found:
            raise GanAugError(
                f"{where}: {found[split].path} and {folder.path} are two folders of one split; put "
                "the images into one of them and remove the other"
            )
        found[split] = folder
    return found


def _check_no_splits(where: str, top: Tree) -> None:
    """Check that folders among classes that are named as splits are classes (test and control)."""
    level = top.with_images
    splits = _splits_by_name(where, top, of_folders=True)
    inside = {folder.name for split in splits.values() for folder in split.with_images}
    alike = not any(folder.images or folder.name in inside for folder in level)
    if splits and (len(level) == len(splits) or not alike):
        names = " and ".join(f"{split.path}/" for split in splits.values())
        raise GanAugError(
            f"{where}: named as splits, {names} stand without training images beside them; put "
            "these into a folder named train, or give the folder another name if it is a class"
        )
    _refuse_splits_in_names(where, level)
    named: dict[str, str] = {}
    for folder in level:
        if split := SPLITS.get(folder.name.casefold()):
            named.setdefault(split, f"{folder.path}/")
    if len(named) > 1:
        raise GanAugError(
            f"{where}: {' and '.join(named.values())} hold images and no class folders; make a "
            "folder for each class in them, or say in data.table what each image is"
        )


_WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def _refuse_splits_in_names(where: str, level: list[Tree]) -> None:
    """Refuse folders whose names contain those of splits, train and another one among them."""
    named: dict[str, str] = {}
    for folder in level:
        found = {SPLITS[word.casefold()] for word in _WORD.findall(folder.name) if _is_split(word)}
        if folder.name.casefold() not in SPLITS and len(found) == 1:
            named.setdefault(found.pop(), f"{folder.path}/")
    if "train" in named and len(named) > 1:
        raise GanAugError(
            f"{where}: {' and '.join(named.values())} are named like splits, so they are not taken "
            "for classes; put a folder for each class into train/, val/ and test/, or say in "
            "data.table what each image is"
        )


def _is_split(word: str) -> bool:
    return word.casefold() in SPLITS


def _classes_in(where: str, top: Tree, left_out: LeftOut) -> list[Tree]:
    """Return the folders of a level of classes, and list what else stands there."""
    _check_no_splits(where, top)
    top.list_others(left_out)
    top.list_images(left_out, OUTSIDE)
    for folder in top.folders:
        if not folder.has_images:
            _check_no_class(where, folder)
            folder.list_whole(left_out, WITHOUT_IMAGES)
    left_out.warnings += [
        f"{join(top.path, name)} is no class: {reason}"
        for name, reason in top.others.items()
        if name.endswith("/")
    ]
    left_out.warnings += [
        f"{reason} leaves out the whole folder {name}/, which is no class then"
        for name, (reason, _) in top.closed.items()
        if reason.startswith(EXCLUDED)
    ]
    if not (found := top.with_images):
        loose = f"; {len(top.images)} images lie in it itself" if top.images else ""
        if packed := [name for name in top.others if Path(name).suffix.lower() in _PACKED]:
            loose += f"; unpack {packed[0]}"
        if any(reason.startswith(EXCLUDED) for reason in _reasons(top)):
            loose += "; data.exclude leaves files out: mend it"
        raise GanAugError(
            f"{where}: {top.path or 'it'} has no folder with images{loose}; it needs a folder for "
            "each class, in it or in its train/, val/ and test/"
        )
    return found


def _reasons(top: Tree) -> Iterator[str]:
    for folder in top.walk():
        yield from folder.others.values()
        yield from (reason for reason, _ in folder.closed.values())


def _check_no_class(where: str, folder: Tree) -> None:
    """Check that a folder without images is no class of which all files were left out."""
    remedy = f"leave the folder out with 'data.exclude=[\"{folder.path}/*\"]'"
    for inner in folder.walk():
        if inner.fault:
            raise GanAugError(
                f"{where}: {inner.path}/ {inner.fault}; allow reading it, or {remedy}"
            )
        for name, reason in inner.others.items():
            if reason != HIDDEN and not reason.startswith(EXCLUDED):
                raise GanAugError(
                    f"{where}: {folder.path}/ stands among the class folders and has no image; "
                    f"{name} is none ({reason}). Save its files as PNG, JPEG or DICOM, or {remedy}"
                )


def _list_rest(tree: Tree, splits: list[Tree], left_out: LeftOut) -> None:
    """List what stands beside the folders of splits."""
    tree.list_others(left_out)
    tree.list_images(left_out, OUTSIDE)
    for folder in tree.folders:
        if any(folder is split for split in splits):
            continue
        folder.list_whole(left_out, BESIDE_SPLITS)
        if folder.has_images and any(_is_split(word) for word in _WORD.findall(folder.name)):
            left_out.warnings.append(
                f"{folder.path}/ is named like a split, and is not called train, val or test or "
                f"holds no class folders: its {folder.count()} files are not read"
            )


def _with_splits_inside(
    where: str, classes: list[ClassFolder], left_out: LeftOut
) -> list[ClassFolder]:
    """Return the splits in class folders as those of the classes, where they have them."""
    inside = {each.tree.path: _splits_by_name(where, each.tree) for each in classes}
    divided = [path for path, splits in inside.items() if splits]
    if not divided:
        return classes
    if whole := [path for path, splits in inside.items() if "train" not in splits]:
        raise GanAugError(
            f"{where}: {next(iter(inside[divided[0]].values())).path}/ is named as a split, and "
            f"{whole[0]}/ has no train/; give every class its train/, or rename the folder"
        )
    found = []
    for each in classes:
        splits = inside[each.tree.path]
        _list_rest(each.tree, list(splits.values()), left_out)
        found += [ClassFolder(each.name, split, tree) for split, tree in splits.items()]
    return found


def _refuse_single(where: str, classes: list[ClassFolder]) -> None:
    """Refuse a single class: its folder may hold the classes, or its images be labelled nowhere."""
    if len({each.name for each in classes}) > 1:
        return
    only = classes[0]
    remedy = "say in data.table what each image is, or add a folder for another class"
    if not only.tree.images:
        remedy = "name the folder that holds the class folders themselves"
    raise GanAugError(
        f"{where}: has only the class {only.name}; a classifier needs two classes or more; {remedy}"
    )


def _refuse_twins(where: str, classes: list[ClassFolder]) -> None:
    """Refuse two folders whose names are one: only their forms of Unicode tell them apart."""
    path_of: dict[tuple[str, str | None], str] = {}
    for each in classes:
        other = path_of.setdefault((each.name, each.split), each.tree.path)
        if other != each.tree.path:
            raise GanAugError(
                f"{where}: two folders are named {each.name}, in two forms of Unicode (NFC, and "
                "NFD as macOS writes it); put the images into one of them and remove the other"
            )


def _refuse_repeated(where: str, classes: list[ClassFolder], tells_patient: TellsPatient) -> None:
    """Refuse folders that hold the same folders: these may be the classes."""
    inside: dict[str, dict[str, Tree]] = {}
    for each in classes:
        names = inside.setdefault(each.name, {})
        names |= {f.name: f for f in each.tree.with_images if not is_mask_folder(f.name)}
    common = set.intersection(*(set(names) for names in inside.values()))
    times = Counter(name for names in inside.values() for name in names)
    repeated = {name for name, n in times.items() if n > 1}
    loose = sum(len(each.tree.images) for each in classes)
    mostly = all(2 * len(repeated & {*names}) > len(names) for names in inside.values())
    in_all = len(common) > 1 and 2 * len(common) > min(map(len, inside.values()))
    if (
        len(repeated) < 2
        or not (mostly or in_all)
        or 2 * loose > sum(len(each.tree.below()) for each in classes)
        or all(_is_patient(f, tells_patient) for names in inside.values() for f in names.values())
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


def _is_patient(folder: Tree, tells_patient: TellsPatient) -> bool:
    start = len(folder.path.rpartition("/")[0]) + 1
    return any(tells_patient(path[start:]) for path in folder.below())


def check_splits(where: str, entries: list[Entry]) -> None:
    """Check that splits are given for all images or none, and that each has all classes.

    Raises:
        GanAugError: naming what is missing.
    """
    classes: dict[str | None, set[str]] = {}
    for entry in entries:
        classes.setdefault(entry.split, set()).add(entry.label)
    if classes.keys() == {None}:
        return
    if None in classes:
        bare = next(entry.path for entry in entries if entry.split is None)
        raise GanAugError(f"{where}: {bare} has no split, others have; give it one, or none any")
    if "train" not in classes:
        raise GanAugError(f"{where}: has no training images; name a split train")
    every = set().union(*classes.values())
    for split, names in classes.items():
        if lacking := every - names:
            alike = {name.casefold(): name for name in names}.get(min(lacking).casefold())
            if alike:
                raise GanAugError(
                    f"{where}: {split} has the class {alike} where others have {min(lacking)}; "
                    "name them alike"
                )
            raise GanAugError(
                f"{where}: {split} has no images of {min(lacking)}, other splits have; add some, "
                "or remove that class"
            )
