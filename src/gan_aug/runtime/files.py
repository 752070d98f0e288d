"""Reading and writing files: no half file behind a killed process, one line for what is damaged."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

from gan_aug.runtime.errors import GanAugError, see
from gan_aug.runtime.lock import Lock, check_held, guard_of, patiently

MOST_JSON = 64 * 2**20
"""Bytes of a JSON file, unless its kind may have more."""
DEEPEST = 50
"""Lists and mappings in each other; what reads them goes down as deep."""
_LEFT = ".tmp"
_AS_IT_IS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
"""Flags of `os.open`, as far as the system has them: bytes are bytes, no FIFO is waited for."""
_HALF = re.compile("[\ud800-\udfff]")


@see("disk")
def replace_file(path: Path, write: Callable[[Path], object], within: Path | None = None) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk and rename it.

    The temporary file is new and has a random name, so nothing that was planted is followed.
    `within` is the folder of a run or a study, see `refuse_links`.

    Raises:
        GanAugError: the file cannot be written (a full disk, say); what was there before is kept.
        Lost: it lies in a folder that another process has taken over.
    """
    refuse_links(path, within)
    check_held(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        temporary = _new_file_beside(path)
        write(temporary)
        with temporary.open("r+b") as file:  # Windows flushes no file that is only read
            os.fsync(file.fileno())
        check_held(path)
        patiently(partial(temporary.replace, path))
    except BaseException as error:
        # Half a checkpoint would keep a full disk from taking even the reason into run.json.
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise not_writable(path, error) from error
        raise


def refuse_links(path: Path, within: Path | None = None) -> None:
    """Refuse to write through a folder that is a link out of the run or study it seems to lie in.

    `within` is the folder of the run or study, which may itself be a link; None: the one whose lock
    this process holds, if any. Where `path` is a link itself, it is replaced, not followed.
    """
    root = within if within is not None else guard_of(path)
    if root is None:
        return
    for folder in (parent for parent in path.parents if root in parent.parents):
        if folder.is_symlink() and not folder.resolve().is_relative_to(root.resolve()):
            raise GanAugError(
                f"{folder}: is a link that leads out of {root}, and nothing is written through it; "
                "remove the link, then repeat the command"
            )


def _new_file_beside(path: Path) -> Path:
    """Create an empty file with a random name; one that exists is never opened."""
    made = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_LEFT}")
    os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))  # follows no link
    return made


def _remove_leftovers(path: Path) -> None:
    """Remove what killed processes have left beside a file that only this process may write."""
    if guard_of(path) is None:
        return
    pattern = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}{re.escape(_LEFT)}")
    for name in os.listdir(path.parent):
        if pattern.fullmatch(name):
            path.with_name(name).unlink(missing_ok=True)


def not_writable(path: Path, error: OSError) -> GanAugError:
    """Return the one line for a file or folder that cannot be written."""
    return GanAugError(
        f"{path}: cannot be written ({error.strerror or error}); free space there, allow writing "
        "or choose another folder, then repeat the command"
    )


def claim(lock: Lock, wait: bool) -> bool:
    """Take a lock, making its folder, or raise GanAugError; return whether it is held now."""
    try:
        lock.path.parent.mkdir(parents=True, exist_ok=True)
        return lock.acquire(wait)
    except OSError as error:
        raise not_writable(lock.guards, error) from error


def write_text(path: Path, text: str, within: Path | None = None) -> None:
    """Write a text file in one step; see `replace_file`."""
    replace_file(path, lambda temporary: temporary.write_text(text, "utf-8", newline="\n"), within)


def write_json(path: Path, content: Any, within: Path | None = None) -> None:
    """Write a JSON file in one step; see `replace_file`."""
    write_text(path, json.dumps(content, indent=2) + "\n", within)


def write_json_once(path: Path, content: Any) -> None:
    """Write a JSON file in one step if there is none; of several writers at once the first wins."""
    made = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    write_json(made, content)
    try:
        path.hardlink_to(made)
    except FileExistsError:
        made.unlink()
    except OSError:  # a file system without links
        made.replace(path)
    else:
        made.unlink()


@contextmanager
def open_regular(path: Path, most: int) -> Iterator[BufferedReader]:
    """Open a file that may come from anyone, of `most` bytes at most.

    OSError where it is missing, larger, or no regular file: a FIFO would be waited for, for ever.
    """
    with open(os.open(path, os.O_RDONLY | _AS_IT_IS), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if status.st_size > most:
            raise OSError(errno.EFBIG, f"{status.st_size} bytes, at most {most}", str(path))
        yield file


def read_bytes(path: Path, most: int) -> bytes:
    """Read a file that may come from anyone; see `open_regular`."""
    with open_regular(path, most) as file:
        return file.read(most)


def read_json(path: Path, remedy: str, most: int = MOST_JSON) -> dict[str, Any]:
    """Read a JSON file that holds a mapping; GanAugError, with the remedy, where it does not.

    A half of a pair of UTF-16, which nothing can print, becomes U+FFFD.
    """
    try:
        content = json.loads(read_bytes(path, most).decode("utf-8"))
        if not isinstance(content, dict):
            raise ValueError("does not hold a mapping")
        return cast("dict[str, Any]", _printable(content, DEEPEST))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise GanAugError(f"{path}: cannot be read ({reason}); {remedy}") from error


def _printable(node: Any, depth: int) -> Any:
    if isinstance(node, str):
        return node if node.isascii() else _HALF.sub("\ufffd", node)
    if not isinstance(node, list | dict):
        return node
    if not depth:
        raise ValueError(f"lists and mappings lie more than {DEEPEST} deep in each other")
    if isinstance(node, list):
        return [_printable(inner, depth - 1) for inner in node]
    return {_printable(key, 0): _printable(value, depth - 1) for key, value in node.items()}


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes `folder` at the end: it appears whole or not at all.

    Raises:
        GanAugError: it cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=folder.parent, prefix=f".{folder.name}.", ignore_cleanup_errors=True
        ) as temporary:
            whole = Path(temporary) / folder.name
            yield whole
            whole.rename(folder)
    except OSError as error:
        raise not_writable(folder, error) from error


def keep_again(path: Path, other: Path) -> None:
    """Give a file a second name, in one step; what had that name is replaced."""
    temporary = _new_file_beside(other)
    temporary.unlink()
    try:
        temporary.hardlink_to(path)  # `path` is there at every moment, and nothing is copied
    except OSError:  # a file system without links
        shutil.copyfile(path, temporary)
    temporary.replace(other)


def remove_folder(folder: Path) -> None:
    """Take a folder away in one step, or raise OSError; who has mapped a file of it keeps that."""
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        folder.rename(aside / folder.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sha256_of_json(content: Any) -> str:
    """Return the SHA-256 of plain containers as JSON, in whatever order their keys are."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with open_regular(path, sys.maxsize) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
