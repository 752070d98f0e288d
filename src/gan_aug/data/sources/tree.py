"""What lies below a data set's folder: every file is an image to read, or has a reason why not."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from gan_aug.data.dicom import is_dicom
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import open_regular
from gan_aug.settings.by_name import normal

IMAGES = frozenset({".jpeg", ".jpg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".dcm", ".dicom"})
"""Endings of images; a file of any other name is one if it begins as DICOM does."""
_MARKS = (
    ("run.json", b'"gan_aug"'),
    ("declaration.json", b'"endpoints"'),
    ("manifest.json", b'"seen_hashes"'),
    ("manifest.json", b'"source_hashes"'),
    ("draw.json", b'"seen_hashes"'),
)
"""Files that gan_aug writes into its folders, and what stands in the first part of them."""
_SYSTEM = frozenset(
    {
        *("__macosx", "@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot"),
        *("$recycle.bin", "system volume information", "lost+found", "__pycache__", "~snapshot"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    }
)
"""What systems put into folders by themselves, beside all whose names begin with a dot."""

EXCLUDED = "data.exclude="
"""What the reason of files that a pattern leaves out begins with."""
HIDDEN = "hidden, or of the system"
NAMED_BADLY = "a name that is not UTF-8"
OTHER_ENDING = "an image by its first bytes, not by its name: end it in .jpg or .png"
_JPEG_OR_PNG = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
UNREADABLE = "cannot be read"


@dataclass
class Tree:
    """All below a folder, and what of it is not read; paths are relative to it, with `/`.

    Attributes:
        images: files that are images by their names or first bytes, in the order of their parts.
        others: everything else to why it is not read; a folder that was not entered ends with `/`.
        inside: how many files are in such a folder, where it was counted.
        folders: those that were entered; the root's own path is empty.
        reasons: what the data set does not read to why; a whole folder is one entry, `folder/`.
        files: such a reason to the number of files.
        warnings: of what may have been left out by mistake.
    """

    images: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)
    inside: dict[str, int] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    exclude: Sequence[str] = ()
    reasons: dict[str, str] = field(default_factory=dict)
    files: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)

    def count(self, folder: str) -> int:
        """Return how many files a folder has, at any depth."""
        below = (path for path in (*self.images, *self.others) if path.startswith(f"{folder}/"))
        return sum(self.inside.get(path, 1) for path in below)

    def leave_out(self, path: str, reason: str, files: int | None = None) -> None:
        """List a file as not read, or a folder (`folder/`) with so many files."""
        counted = "" if files is None else f" ({files} {'file' if files == 1 else 'files'})"
        self.reasons[path] = reason + counted
        self.files[reason] += 1 if files is None else files

    def list_unread(self, read: Collection[str], image: str, folder: Callable[[str], str]) -> None:
        """List all files but those read; why `image`s are not, and why a whole `folder` is not."""
        entered = {"", *(above for path in read for above in _folders_above(path))}
        whole = {
            path: 0
            for path in self.folders
            if path not in entered and path.rpartition("/")[0] in entered
        }
        for path in (*self.images, *self.others):
            own = path.rstrip("/")
            if path in read or own in entered:
                continue
            unread = [above for above in _folders_above(own) if above not in entered]
            if unread:
                whole[unread[-1]] += self.inside.get(path, 1)
            else:
                self.leave_out(path, self.others.get(path, image), self.inside.get(path))
        for path, files in whole.items():
            self.leave_out(f"{path}/", folder(path), files)

    def excludes(self, path: str) -> bool:
        """Tell whether `data.exclude` leaves out a file, or a folder above it."""
        above = _folders_above(path)
        return any(_excluded(each, each != path, self.exclude) for each in (path, *above))


def find_files(root: Path, exclude: Sequence[str] | str | None, on_bad_file: str) -> Tree:
    """Find every file below a folder. Links to folders are followed, each folder is entered once.

    Args:
        root: the folder.
        exclude: patterns (`fnmatch`, where `*` takes `/` too) on the paths below it; a folder is
            left out with all in it.
        on_bad_file: `error` stops at what cannot be entered or has no sound name, `skip` lists it.

    Raises:
        GanAugError: see `on_bad_file`; or the root cannot be read.
    """
    tree = Tree(exclude=[exclude] if isinstance(exclude, str) else list(exclude or ()))
    real, entered = root.resolve(), set[tuple[int, int]]()
    todo, links = [""], list[str]()
    while todo or links:
        if todo:
            folder = todo.pop()
        else:  # links come last: what they lead to may lie below the root itself
            folder = links.pop(0)
            where = root / folder
            if _identity(where) in entered or real.is_relative_to(where.resolve()):
                tree.others[f"{folder}/"] = "a link to a folder that is read already"
                continue
        try:
            entered.add(_identity(root / folder))
            with os.scandir(root / folder) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            if on_bad_file == "error" or not folder:
                raise GanAugError(
                    f"{root / folder}: cannot be read ({error.strerror}); allow reading it, leave "
                    "it out with data.exclude, or set data.on_bad_file=skip"
                ) from error
            tree.others[f"{folder}/"] = f"{UNREADABLE} ({error.strerror})"
            continue
        tree.folders.add(folder)
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            is_folder = os.path.isdir(entry)
            reason = _reason(root / path, path, is_folder, tree.exclude)
            if reason == NAMED_BADLY:
                path = os.fsencode(path).decode(errors="backslashreplace")
                if on_bad_file == "error":
                    raise GanAugError(
                        f"{root / path}: {NAMED_BADLY}; rename it (convmv -f cp949 -t utf-8 -r "
                        "--notest FOLDER, where it is Korean), or set data.on_bad_file=skip"
                    )
                tree.others[path + "/" * is_folder] = reason
            elif reason and is_folder:
                tree.others[f"{path}/"] = reason
                tree.inside[f"{path}/"] = sum(len(f) for _, _, f in os.walk(root / path))
            elif reason:
                tree.others[path] = reason
            elif is_folder:
                (links if entry.is_symlink() else todo).append(path)
            else:
                tree.images.append(path)
    tree.images.sort(key=lambda path: path.split("/"))
    used = set(tree.others.values())
    tree.warnings += [
        f"{EXCLUDED}{pattern}: leaves out no file; mend the pattern, or take it away"
        for pattern in tree.exclude
        if f"{EXCLUDED}{pattern}" not in used
    ]
    return tree


def _reason(file: Path, path: str, is_folder: bool, exclude: Sequence[str]) -> str | None:
    """Return why a file is not read or a folder not entered, None where it is to be."""
    name = file.name
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        return NAMED_BADLY
    if name.startswith(".") or name.casefold() in _SYSTEM:
        return HIDDEN
    if reason := _excluded(path, is_folder, exclude):
        return reason
    if is_folder:
        return "written by gan_aug" if _is_written_here(file) else None
    if file.suffix.lower() in IMAGES:  # a bad image is named when it is read
        return None
    if name.upper() == "DICOMDIR":
        return "a DICOM directory"
    try:
        if not file.is_file():  # to open a FIFO is to wait for ever
            return "a link to nowhere" if file.is_symlink() else "neither a file nor a folder"
        with file.open("rb") as opened:
            start = opened.read(132)
        if is_dicom(start):
            return None
        no_image = "no image by its name or first bytes"
        return OTHER_ENDING if start.startswith(_JPEG_OR_PNG) else no_image
    except OSError:
        return None


def _excluded(path: str, is_folder: bool, patterns: Sequence[str]) -> str | None:
    texts = [normal(path), f"{normal(path)}/"] if is_folder else [normal(path)]
    for pattern in patterns:
        if any(fnmatchcase(text, normal(pattern)) for text in texts):
            return f"{EXCLUDED}{pattern}"
    return None


def _is_written_here(folder: Path) -> bool:
    """Tell whether a folder is a run, a study, a synthetic set, or the `runs/` that holds them.

    What commands write into the data set's own folder must never be read as real images. None of
    these folders holds an image itself: one that does is the user's.
    """
    places = [folder]
    if folder.name == "runs":
        places = [Path(place) for place, _, _ in os.walk(folder)]
    if not any(_begins_with(place / name, mark) for place in places for name, mark in _MARKS):
        return False
    return not any(Path(name).suffix.lower() in IMAGES for name in os.listdir(folder))


def _begins_with(path: Path, mark: bytes) -> bool:
    try:
        with open_regular(path, 2**30) as file:
            return mark in file.read(2**16)
    except OSError:
        return False


def _folders_above(path: str) -> list[str]:
    """Return the folders that a path leads through, the deepest first, without the root."""
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(len(parts) - 1, 0, -1)]


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
