"""Masks of images that lie beside them: they are no images of a class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

_WORD = r"(?:masks?|seg(?:mentation)?s?|gt|ground[ _-]?truth|annotations?|labels?|rois?)"
_FOLDER = re.compile(rf"(?:.*[ _.-])?{_WORD}", re.IGNORECASE)
_AFTER = re.compile(rf"(?P<image>.+?)(?P<how>[ _.-]+{_WORD})(?:[ _-]?\d+)?", re.IGNORECASE)
_BEFORE = re.compile(rf"(?P<how>{_WORD}[ _.-]+)(?P<image>.+)", re.IGNORECASE)


def is_mask_folder(name: str) -> bool:
    """Tell whether a folder is named as those of masks are."""
    return _FOLDER.fullmatch(name) is not None


def warn_of_masks(paths: Sequence[str]) -> list[str]:
    """Say which images look like masks of others, and how to leave them out.

    They lie in folders such as `masks/`, or are called NAME_mask beside NAME.

    Args:
        paths: of the images that are read, below the root.

    Returns:
        One line, or none.
    """
    there = {path.rpartition(".")[0] or path for path in paths}
    masks = {path: pattern for path in paths if (pattern := _pattern(path, there))}
    if not masks or len(masks) == len(paths):  # with_mask/ and without_mask/ are classes
        return []
    patterns = ",".join(f'"{pattern}"' for pattern in sorted(set(masks.values())))
    return [
        f"{len(masks)} of {len(paths)} images look like masks of others, such as "
        f"{min(masks)}: if they are, leave them out with 'data.exclude=[{patterns}]'"
    ]


def _pattern(path: str, there: set[str]) -> str | None:
    """Return the pattern that leaves out a file, where it looks like a mask."""
    *folders, name = PurePosixPath(path).parts
    for depth, folder in enumerate(folders):
        if is_mask_folder(folder):
            return f"*/{folder}/*" if depth else f"{folder}/*"
    stem = name.rpartition(".")[0] or name
    for pattern, around in ((_AFTER, "*{}*"), (_BEFORE, "*/{}*")):
        match = pattern.fullmatch(stem)
        if match and "/".join([*folders, match["image"]]) in there:
            return around.format(match["how"])
    return None
