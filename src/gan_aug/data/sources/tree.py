"""What lies below a data set's folder: every file is an image to read, or has a reason why not."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from gan_aug.data.dicom import is_dicom
from gan_aug.run.errors import GanAugError
from gan_aug.run.files import open_regular
from gan_aug.settings.by_name import normal

IMAGES = frozenset({".jpeg", ".jpg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".dcm", ".dicom"})
"""Endings of images; a file of any other name is one if it begins as DICOM does."""
_MARKS = {
    "run.json": (b'"gan_aug"',),
    "declaration.json": (b'"endpoints"',),
    "manifest.json": (b'"seen_hashes"', b'"source_hashes"'),
}
"""Files that runs, studies and synthetic sets have, to what stands in the first part of them."""
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
WRITTEN_HERE = "written by gan_aug"
NO_IMAGE = "no image by its name or first bytes"
DICOM_DIRECTORY = "a DICOM directory"
NOT_REGULAR = "neither a file nor a folder"
READ_ALREADY = "a link to a folder that is read already"
NAMED_BADLY = "a name that is not UTF-8"


class LeftOut:
    """The files of a data set that are not read.

    Attributes:
        reasons: path below the root to why; a folder that was not entered is one entry, `folder/`.
        files: reason to the number of files.
        warnings: of what may have been left out by mistake.
    """

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.files: Counter[str] = Counter()
        self.warnings: list[str] = []

    def add(self, path: str, reason: str) -> None:
        """List a file, or a folder of which nothing more is known."""
        self.reasons[path] = reason
        self.files[reason] += 1

    def add_folder(self, path: str, reason: str, files: int) -> None:
        """List a folder with so many files."""
        self.reasons[f"{path}/"] = f"{reason} ({files} {'file' if files == 1 else 'files'})"
        self.files[reason] += files

    def notes(self) -> dict[str, dict[str, str] | dict[str, int]]:
        """Return what run.json keeps."""
        return {"files_skipped": self.reasons, "files_left_out": dict(self.files)}


@dataclass
class Tree:
    """A folder, and what lies in it.

    Attributes:
        path: below the root, with `/`; the root's own is empty.
        images: names of the images that lie in it.
        others: names of what else lies in it, to why it is not read; of folders only those of
            which nothing more is known, with a `/`.
        closed: names of folders that are not entered, to why, and how many files they have.
        folders: those that were entered, by name.
        fault: why it could not be read itself.
    """

    path: str
    images: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)
    closed: dict[str, tuple[str, int]] = field(default_factory=dict)
    folders: list[Tree] = field(default_factory=list)
    fault: str | None = None

    @property
    def name(self) -> str:
        """The folder's own name, in the form that names are compared in."""
        return normal(self.path.rpartition("/")[2])

    @property
    def with_images(self) -> list[Tree]:
        """The folders in it that hold images, at any depth."""
        return [folder for folder in self.folders if folder.has_images]

    @property
    def has_images(self) -> bool:
        """Whether images lie in it, at any depth."""
        return any(folder.images for folder in self.walk())

    def walk(self) -> Iterator[Tree]:
        """Yield this folder and all below it; they may be nested deeper than Python calls."""
        todo = [self]
        while todo:
            folder = todo.pop()
            yield folder
            todo += reversed(folder.folders)

    def below(self) -> list[str]:
        """Return the paths of all images in it, at any depth, in the order of their parts."""
        paths = (join(folder.path, name) for folder in self.walk() for name in folder.images)
        return sorted(paths, key=lambda path: path.split("/"))

    def files(self) -> list[str]:
        """Return the paths of all files in it but those of folders that were not entered."""
        return [join(folder.path, name) for folder in self.walk() for name in folder.names_of_files]

    @property
    def names_of_files(self) -> list[str]:
        """The files that lie in this folder itself."""
        return [*self.images, *(name for name in self.others if not name.endswith("/"))]

    def count(self) -> int:
        """Return how many files it has, at any depth."""
        return sum(
            len(folder.images) + len(folder.others) + sum(n for _, n in folder.closed.values())
            for folder in self.walk()
        )

    def list_others(self, left_out: LeftOut) -> None:
        """List what lies in this folder itself and is no image."""
        if self.fault:
            left_out.add(f"{self.path}/", self.fault)
        for name, reason in self.others.items():
            left_out.add(join(self.path, name), reason)
        for name, (reason, files) in self.closed.items():
            left_out.add_folder(join(self.path, name), reason, files)

    def list_images(self, left_out: LeftOut, reason: str) -> None:
        """List the images of this folder itself as not read."""
        for name in self.images:
            left_out.add(join(self.path, name), reason)

    def list_whole(self, left_out: LeftOut, reason: str) -> None:
        """List the folder as one entry."""
        left_out.add_folder(self.path, reason, self.count())

    def list_all_but(self, read: Set[str], reason: str, left_out: LeftOut) -> None:
        """List every file that is not read; a folder without one that is, is one entry.

        Args:
            read: paths of files that are read.
            reason: of images.
            left_out: gets the others.
        """
        entered = {parent for path in read for parent in _folders_of(path)}
        for folder in self.walk():
            if folder.path and folder.path not in entered:
                if folder.path.rpartition("/")[0] in entered:
                    folder.list_whole(left_out, reason)
                continue
            for name in folder.images:
                if (path := join(folder.path, name)) not in read:
                    left_out.add(path, reason)
            for name, why in folder.others.items():
                if (path := join(folder.path, name)) not in read:
                    left_out.add(path, why)
            for name, (why, files) in folder.closed.items():
                if (path := join(folder.path, name)) not in entered:
                    left_out.add_folder(path, why, files)


def unused_patterns(tree: Tree, exclude: Sequence[str]) -> list[str]:
    """Say which patterns leave out nothing: they may be mistyped."""
    used = {
        reason
        for folder in tree.walk()
        for reason in (*folder.others.values(), *(why for why, _ in folder.closed.values()))
    }
    return [
        f"{EXCLUDED}{pattern}: leaves out no file; mend the pattern, or take it away"
        for pattern in exclude
        if f"{EXCLUDED}{pattern}" not in used
    ]


def find_files(root: Path, exclude: Sequence[str], on_bad_file: str) -> Tree:
    """Find every file below a folder. Links to folders are followed, each folder is entered once.

    Args:
        root: the folder.
        exclude: patterns (`fnmatch`, where `*` takes `/` too) on the paths below it, of files and
            of folders.
        on_bad_file: `error` stops at what cannot be entered or has no sound name, `skip` lists it.

    Raises:
        GanAugError: see `on_bad_file`; or the root cannot be read.
    """
    tree = Tree("")
    real = root.resolve()
    entered = {_identity(root)}
    todo, links = [tree], list[tuple[Tree, str]]()
    while todo or links:
        if todo:
            folder = todo.pop()
            try:
                _read(root, folder, exclude, on_bad_file, links)
            except OSError as error:
                if on_bad_file == "error" or not folder.path:
                    raise _unreadable(root / folder.path, error) from error
                folder.fault = f"cannot be read ({error.strerror})"
            todo += folder.folders
            entered |= {_identity(root / inner.path) for inner in folder.folders}
            continue
        # Links come last: what they lead to may lie below the root itself.
        folder, name = links.pop(0)
        inner = Tree(join(folder.path, name))
        where = root / inner.path
        if _identity(where) in entered or real.is_relative_to(where.resolve()):
            folder.others[f"{name}/"] = READ_ALREADY
            continue
        entered.add(_identity(where))
        folder.folders = sorted([*folder.folders, inner], key=lambda each: each.path)
        todo.append(inner)
    return tree


def _read(
    root: Path,
    folder: Tree,
    exclude: Sequence[str],
    on_bad_file: str,
    links: list[tuple[Tree, str]],
) -> None:
    """Fill in what lies in a folder."""
    with os.scandir(root / folder.path) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = join(folder.path, entry.name)
        is_folder = _is_folder(entry)
        if not _is_text(entry.name):
            if on_bad_file == "error":
                raise GanAugError(
                    f"{root / _shown(path)}: {NAMED_BADLY}; rename it (convmv -f cp949 -t utf-8 -r "
                    "--notest FOLDER, where it is Korean), or set data.on_bad_file=skip"
                )
            folder.others[_shown(entry.name) + "/" * is_folder] = NAMED_BADLY
        elif reason := (
            _unwanted(entry.name)
            or _excluded(path, is_folder, exclude)
            or (WRITTEN_HERE if is_folder and _is_written_here(root / path) else None)
        ):
            if is_folder:
                folder.closed[entry.name] = (reason, _files_in(root / path))
            else:
                folder.others[entry.name] = reason
        elif is_folder and entry.is_symlink():
            links.append((folder, entry.name))
        elif is_folder:
            folder.folders.append(Tree(path))
        elif reason := _no_image(root / path):
            folder.others[entry.name] = reason
        else:
            folder.images.append(entry.name)


def _unreadable(where: Path, error: OSError) -> GanAugError:
    return GanAugError(
        f"{where}: cannot be read ({error.strerror}); allow reading it, leave it out with "
        "data.exclude, or set data.on_bad_file=skip"
    )


def _unwanted(name: str) -> str | None:
    return HIDDEN if name.startswith(".") or name.casefold() in _SYSTEM else None


def _is_written_here(folder: Path) -> bool:
    """Tell whether a folder is a run, a study, a synthetic set, or the `runs/` that holds them.

    Commands write into the folder that they are started in, which may be the data set's own. What
    they generate must never be read as real images. None of these folders holds an image itself:
    one that does is the user's, whatever was written into it.
    """
    places = [folder]
    if folder.name == "runs":
        places = [Path(place) for place, _, _ in os.walk(folder)]
    if not any(map(_is_marked, places)):
        return False
    return not any(Path(name).suffix.lower() in IMAGES for name in os.listdir(folder))


def _is_marked(folder: Path) -> bool:
    for name, marks in _MARKS.items():
        try:
            with open_regular(folder / name, 2**30) as file:
                start = file.read(2**16)
        except OSError:
            continue
        if any(mark in start for mark in marks):
            return True
    return False


def as_patterns(exclude: Sequence[str] | str | None) -> list[str]:
    """Return what `data.exclude` says: one pattern, several or none."""
    return [exclude] if isinstance(exclude, str) else list(exclude or ())


def excluded(path: str, patterns: Sequence[str]) -> str | None:
    """Return the reason why `data.exclude` leaves out a file, None where it does not.

    Args:
        path: below the root.
        patterns: `fnmatch`, where `*` takes `/` too; one that takes a folder takes all in it.
    """
    for each in (path, *_folders_of(path)[:-1]):
        if reason := _excluded(each, each != path, patterns):
            return reason
    return None


def _excluded(path: str, is_folder: bool, patterns: Sequence[str]) -> str | None:
    texts = [normal(path), f"{normal(path)}/"] if is_folder else [normal(path)]
    for pattern in patterns:
        if any(fnmatchcase(text, normal(pattern)) for text in texts):
            return f"{EXCLUDED}{pattern}"
    return None


def _folders_of(path: str) -> list[str]:
    """Return the folders that a path leads through, the root (an empty text) last."""
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(len(parts) - 1, -1, -1)]


def _no_image(path: Path) -> str | None:
    """Return why a file is not read, None where it is to be: a bad image is named later."""
    if path.suffix.lower() in IMAGES:
        return None
    if path.name.upper() == "DICOMDIR":
        return DICOM_DIRECTORY
    try:
        if not path.is_file():  # to open a FIFO is to wait for ever
            return "a link to nowhere" if path.is_symlink() else NOT_REGULAR
        with path.open("rb") as file:
            return None if is_dicom(file.read(132)) else NO_IMAGE
    except OSError:
        return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _files_in(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _is_text(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _shown(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")


def join(folder: str, name: str) -> str:
    """Return the path of what lies in a folder; the root's own path is empty."""
    return f"{folder}/{name}" if folder else name
