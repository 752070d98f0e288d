"""Reading and writing files: no half file behind a killed process, one line for what is damaged."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gan_aug.run.errors import GanAugError
from gan_aug.run.lock import Lost, check_held


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk and rename it.

    Raises:
        GanAugError: the file cannot be written (a full disk, say); what was there before is kept.
        Lost: it lies in a folder that another process has taken over.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    check_held(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        check_held(path)
        temporary.replace(path)
    except Lost:
        raise  # the temporary file may be the other's by now
    except BaseException as error:
        # Half a checkpoint would keep a full disk from taking even the reason into run.json.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise not_writable(path, error) from error
        raise


def not_writable(path: Path, error: OSError) -> GanAugError:
    """Return the one line for a file or folder that cannot be written."""
    return GanAugError(
        f"{path}: cannot be written ({error.strerror or error}); free space there, allow writing "
        "or choose another folder, then repeat the command"
    )


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step."""
    replace_file(path, lambda temporary: temporary.write_text(text))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file in one step."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Read a JSON file that holds a mapping.

    Args:
        path: the file.
        remedy: what to do where it is damaged.

    Raises:
        GanAugError: it is missing, cannot be read, or holds something else.
    """
    try:
        if path.exists() and not path.is_file():  # opening a FIFO would wait for ever
            raise ValueError("not a regular file")
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("does not hold a mapping")
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise GanAugError(f"{path}: cannot be read ({reason}); {remedy}") from error
    return found


def keep_again(path: Path, other: Path) -> None:
    """Give a file a second name, in one step; what had that name is replaced."""
    temporary = other.with_name(f".{other.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        temporary.hardlink_to(path)  # `path` is there at every moment, and nothing is copied
    except OSError:  # a file system without links
        shutil.copyfile(path, temporary)
    temporary.replace(other)


def remove_folder(folder: Path) -> None:
    """Take a folder away in one step; a process that has mapped a file of it keeps that.

    Raises:
        OSError: it cannot be moved.
    """
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        folder.rename(aside / folder.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
