"""Draws of a study that are there already: a new one must go with them, before it is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig

from gan_aug.data.prepare import load
from gan_aug.run.errors import GanAugError
from gan_aug.run.run_record import RECORD, Config, RunRecord, read_record
from gan_aug.settings.alike import first_difference


def other_draws(study_dir: Path) -> Iterator[tuple[Path, RunRecord]]:
    """Yield the folders of a study's draws and their records; damaged ones the report will name."""
    for path in sorted(study_dir.expanduser().rglob(RECORD)):
        with suppress(GanAugError):
            record = read_record(path.parent)
            if record is not None:
                yield path.parent, record


def check_goes_with(
    folder: Path,
    config: Config,
    fingerprint: str,
    others: list[tuple[Path, RunRecord]],
    redo: tuple[str, ...],
) -> None:
    """Check that a draw about to be run goes into one report with those that are finished.

    Args:
        folder: of the draw.
        config: its settled configuration.
        fingerprint: of its data.
        others: from `other_draws`.
        redo: settings that may be changed on finished draws, one after another.

    Raises:
        GanAugError: it does not: other data, or, under the same condition, other settings.
    """
    for where, record in others:
        if where == folder or not record.finished or record.data is None:
            continue
        if record.data.fingerprint != fingerprint:
            raise GanAugError(_other_data(where, record, config["data"]["root"], fingerprint))
        if record.config["study"]["condition"] != config["study"]["condition"]:
            continue
        found = first_difference(_without(record.config, redo), _without(config, redo))
        if found is not None:
            key, before, after = found
            raise GanAugError(
                f"{key}={after}: {where} was run with {before}, and a report needs draws with the "
                f"same settings; set it alike, or begin another study with name=NAME"
            )


def check_same_data(folder: Path, cfg: DictConfig) -> None:
    """Check that a finished draw, about to be skipped, is of the data that is asked for.

    Raises:
        GanAugError: it is not; or the data now lie in another folder, which cannot be read.
    """
    record = read_record(folder)
    if record is None or record.data is None or record.config["data"].get("root") == cfg.data.root:
        return
    fingerprint = load(cfg.data).fingerprint()
    if fingerprint != record.data.fingerprint:
        raise GanAugError(_other_data(folder, record, cfg.data.root, fingerprint))


def _other_data(where: Path, record: RunRecord, root: str | None, fingerprint: str) -> str:
    assert record.data is not None
    return (
        f"data.root={root}: holds other images (fingerprint {fingerprint}) than {where} was run on "
        f"({record.data.fingerprint}, from {record.config['data'].get('root')}); begin another "
        "study with name=NAME"
    )


def _without(config: Config, keys: tuple[str, ...]) -> Config:
    """Return a configuration without some of its settings."""
    found = dict(config)
    for key in keys:
        first, _, rest = key.partition(".")
        if not rest:
            found.pop(first, None)
        elif isinstance(found.get(first), dict):
            found[first] = _without(found[first], (rest,))
    return found
