"""Draws of a study that are there already: a new one must go with them, before it is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gan_aug.data.prepare import load
from gan_aug.run.errors import GanAugError
from gan_aug.run.find import find_runs
from gan_aug.run.record import ANOTHER_STUDY, Run
from gan_aug.run.run_record import RunRecord, read_record
from gan_aug.settings.alike import first_difference
from gan_aug.settings.base import Plain
from gan_aug.settings.data import DataSettings


def other_draws(study_dir: Path) -> Iterator[tuple[Path, RunRecord]]:
    """Yield the folders of a study's draws and their records; damaged ones the report will name."""
    for folder in find_runs(study_dir.expanduser()).runs:
        with suppress(GanAugError):
            record = read_record(folder)
            if record is not None and "condition" in (record.config.get("study") or {}):
                yield folder, record


def check_goes_with(run: Run, fingerprint: str, redo: tuple[str, ...]) -> None:
    """Check that a draw about to be run goes into one report with those that are finished.

    It is compared with the first finished one, and in its settings with the first under its
    condition.

    Args:
        run: of the draw, settled.
        fingerprint: of its data.
        redo: settings that may be changed on finished draws, one after another.

    Raises:
        GanAugError: it does not: other settings, arms or data.
    """
    config, first = run.config, True
    for where, record in other_draws(Path(config["study_dir"])):
        if where == run.folder or not record.finished or record.data is None:
            continue
        if first:
            _check_arms(where, record.config, config)
        alike = record.config["study"]["condition"] == config["study"]["condition"]
        if alike and (difference := first_difference(record.config, config, redo)) is not None:
            raise GanAugError(_other_setting(where, *difference))
        if first and record.data.fingerprint != fingerprint:
            raise GanAugError(
                _other_cut(where, record.config["data"], config["data"])
                or _other_images(where, record, config["data"]["root"], fingerprint)
            )
        if alike:
            return
        first = False


def check_same_data(folder: Path, data: DataSettings) -> None:
    """Check that a finished draw, about to be skipped, is of the data that is asked for.

    Where these cannot be read nothing is compared: a finished draw needs none.

    Raises:
        GanAugError: it is not.
    """
    record = read_record(folder)
    if record is None or record.data is None or record.config["data"].get("root") == data.root:
        return
    try:
        fingerprint = load(data).fingerprint()
    except GanAugError:
        return
    if fingerprint != record.data.fingerprint:
        raise GanAugError(_other_images(folder, record, data.root, fingerprint))


def _check_arms(where: Path, before: Plain, now: Plain) -> None:
    then, arms = list(before.get("arms") or {}), list(now["arms"])
    if then != arms:
        differ = sorted({*then} ^ {*arms})
        what = f"they differ in {', '.join(differ)}" if differ else "their order differs"
        raise GanAugError(
            f"arms: are other ones than those of {where} ({what}), and a report needs draws with "
            f"the same arms, study.ruler's too; set them alike, or {ANOTHER_STUDY}"
        )


def _other_cut(where: Path, before: Plain, now: Plain) -> str | None:
    """Return which setting cuts the data set otherwise; a draw's own subset is none."""
    of_data = [{"study": {}, "data": data} for data in (before, now)]
    difference = first_difference(of_data[0], of_data[1], ("data.subset",))
    return None if difference is None else _other_setting(where, *difference)


def _other_images(where: Path, record: RunRecord, root: str | None, fingerprint: str) -> str:
    assert record.data is not None
    then = record.config["data"].get("root")
    return (
        f"data.root={_shown(root)}: holds other images (fingerprint {fingerprint}) than {where} "
        f"was run on ({record.data.fingerprint}, from {_shown(then)}); {ANOTHER_STUDY}"
    )


def _other_setting(where: Path, key: str, before: Any, now: Any) -> str:
    return (
        f"{key}={_shown(now)}: {where} was run with {_shown(before)}, and a report needs draws "
        f"with the same settings; set it alike, or {ANOTHER_STUDY}"
    )


def _shown(value: Any) -> Any:
    return "null" if value is None else value
