"""Groups of settings that are chosen as a whole from a folder of conf/."""

from __future__ import annotations

import re
from pathlib import Path

from gan_aug.runtime.errors import GanAugError, as_typed

CHOSEN_BY = {
    **{group: group for group in ("data", "model", "trainer", "callbacks", "logger", "quality")},
    "classifier": "model@classifier",
    "quality.classifier": "model@quality.classifier",
    "quality.extractor": "extractor@quality.extractor",
}
"""Groups, and by what argument each is chosen."""


def conf_dir() -> Path:
    """Return the configuration folder: inside an installed wheel, or at the top of the source."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "conf"
    return shipped if shipped.is_dir() else package.parents[1] / "conf"


def folder_of(key: str) -> str:
    """Return the folder of conf/ that GROUP or GROUP@PACKAGE chooses from."""
    return key.lstrip("+").partition("@")[0]


def options(key: str) -> list[str]:
    """Return what there is to choose from for GROUP or GROUP@PACKAGE."""
    files = sorted((conf_dir() / folder_of(key)).glob("*.yaml"))
    if "classifier" in key:
        files = [path for path in files if "kind: classifier" in path.read_text("utf-8")]
    names = [path.stem for path in files]
    return [name for name in names if not name.endswith("base")] or names


def choose(key: str) -> str:
    """Say how a group is chosen, and from what."""
    appended = key not in CHOSEN_BY.values() and not re.search("[@/]", key)  # study, experiment
    sign = "+" if appended else ""
    return f"choose one of {', '.join(options(key))}, as {sign}{key}=NAME"


def no_group(key: str, value: object) -> GanAugError:
    """Return the line for a value that stands where a group of settings belongs."""
    shown = f"{key}={as_typed(value)}"
    if re.fullmatch(r"arms\.[^.]+", key):
        return GanAugError(
            f"{shown}: an arm is a group of settings, as in conf/arm; to leave it out write "
            f"'~{key}'"
        )
    if key not in CHOSEN_BY:
        return GanAugError(
            f"{shown}: holds several settings; write {key}.KEY=VALUE for one of them, or leave it "
            "out"
        )
    if value in options(CHOSEN_BY[key]):
        return GanAugError(f"{shown}: is chosen by {CHOSEN_BY[key]}={value}")
    return GanAugError(f"{shown}: is no group of settings; {choose(CHOSEN_BY[key])}")
