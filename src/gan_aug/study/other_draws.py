"""Draws of a study that are there already: a new one must go with them, before it is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gan_aug.arms.base import source_of
from gan_aug.arms.folder import FolderImages
from gan_aug.data.external_files import digest_of_set
from gan_aug.data.prepare import load
from gan_aug.data.splits import Splits
from gan_aug.runtime.errors import GanAugError, as_typed
from gan_aug.runtime.find import find_runs
from gan_aug.runtime.record import ANOTHER_STUDY
from gan_aug.runtime.run_record import RunRecord, read_record
from gan_aug.settings.alike import first_difference
from gan_aug.settings.base import Plain
from gan_aug.settings.study import StudySettings
from gan_aug.study.external import check_same_files, files_of_arms


def other_draws(study_dir: Path) -> Iterator[tuple[Path, RunRecord]]:
    """Yield the folders of a study's draws and their records; damaged ones the report will name."""
    for folder in find_runs(study_dir.expanduser()).runs:
        with suppress(GanAugError):
            record = read_record(folder)
            if record is not None and "condition" in (record.config.get("study") or {}):
                yield folder, record


def check_goes_with(folder: Path, config: Plain, splits: Splits, redo: tuple[str, ...]) -> None:
    """Check that a draw about to be run goes into one report with those that are finished.

    `config` is its own, settled. It is compared with the first finished one, and in its settings
    with the first under its condition; those of `redo` may be changed on finished draws, one after
    another.

    Raises:
        GanAugError: it does not: other settings, arms or data.
    """
    fingerprint, first = splits.fingerprint, True
    for where, record in other_draws(Path(config["study_dir"])):
        if where == folder or not record.finished or record.data is None:
            continue
        if first:
            _check_arms(where, record.config, config)
        alike = record.config["study"]["condition"] == config["study"]["condition"]
        if alike and (difference := first_difference(record.config, config, redo)) is not None:
            raise _other_setting(where, *difference)
        if first and record.data.fingerprint != fingerprint:
            # What cuts the data set otherwise; a draw's own subset is nothing of that.
            one, other = ({"study": {}, "data": each["data"]} for each in (record.config, config))
            if (difference := first_difference(one, other, ("data.subset",))) is not None:
                raise _other_setting(where, *difference)
            raise _other_images(where, record, config["data"]["root"], fingerprint)
        then = {name: one.fingerprint for name, one in record.data.external.items()}
        now = splits.external_fingerprints
        if first and then != now:
            name = min(name for name in then | now if then.get(name) != now.get(name))
            raise GanAugError(
                f"data.external.{name}: holds other images (fingerprint {now.get(name)}) than "
                f"{where} was measured on ({then.get(name)}); {ANOTHER_STUDY}"
            )
        if alike:
            return
        first = False


def check_finished(folder: Path, settings: StudySettings) -> None:
    """Check that a finished draw, about to be skipped, had the images that are asked for.

    Where these cannot be read nothing is compared: a finished draw needs none.
    """
    if (record := read_record(folder)) is None:
        return
    data, then = settings.data, record.data
    if then is not None and record.config["data"].get("root") != data.root:
        fingerprint = then.fingerprint
        with suppress(GanAugError):
            fingerprint = load(data).fingerprint()
        if fingerprint != then.fingerprint:
            raise _other_images(folder, record, data.root, fingerprint)
    before = files_of_arms(folder, record.synthetic)
    for name, arm in settings.arms.items():
        source = source_of(arm)
        if isinstance(source, FolderImages) and source.dir is not None and name in before:
            there = Path(source.dir)
            if there.expanduser().is_dir():
                digest = digest_of_set(there, f"arms.{name}.added.dir")
                check_same_files(there, folder, digest, before[name])


def _check_arms(where: Path, before: Plain, now: Plain) -> None:
    then, arms = list(before.get("arms") or {}), list(now["arms"])
    if then != arms:
        differ = sorted({*then} ^ {*arms})
        what = f"they differ in {', '.join(differ)}" if differ else "their order differs"
        raise GanAugError(
            f"arms: are other ones than those of {where} ({what}), and a report needs draws with "
            f"the same arms, study.ruler's too; set them alike, or {ANOTHER_STUDY}"
        )


def _other_images(
    where: Path, record: RunRecord, root: str | None, fingerprint: str
) -> GanAugError:
    assert record.data is not None
    then = record.config["data"].get("root")
    return GanAugError(
        f"data.root={as_typed(root)}: holds other images (fingerprint {fingerprint}) than {where} "
        f"was run on ({record.data.fingerprint}, from {as_typed(then)}); {ANOTHER_STUDY}"
    )


def _other_setting(where: Path, key: str, before: Any, now: Any) -> GanAugError:
    return GanAugError(
        f"{key}={as_typed(now)}: {where} was run with {as_typed(before)}, and a report needs draws "
        f"with the same settings; set it alike, or {ANOTHER_STUDY}"
    )
