"""Fits that stand several times in a study: under other conditions, and as a ruler's own size."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from gan_aug.data.image_table import ImageTable
from gan_aug.report.predictions import MOST_BYTES, read_predictions
from gan_aug.report.records import FitResult
from gan_aug.run.errors import GanAugError, warn
from gan_aug.run.files import read_bytes, read_json, replace_file, write_json
from gan_aug.settings.arms import SettledArm
from gan_aug.study.batches import AddedImages

FOLDER = ".fits"
"""In a study's folder."""
_VERSION = 2
"""To be raised when the same settings give another fit: after a fault was mended, say."""
_DETERMINE = ("seed", "draw", "data.batch_size")
_OF_STUDY = ("steps", "validate_every", "splits")


class SharedFits:
    """Finds and keeps the fits of a draw by all that determines them.

    Args:
        cfg: the study's configuration; with neither a condition nor a ruler no fit stands twice,
            and nothing is kept.
        tables: the images that fits are measured on, by split.
        validation: the images that fits are validated on.
    """

    def __init__(
        self, cfg: DictConfig, tables: Mapping[str, ImageTable], validation: ImageTable
    ) -> None:
        twice = cfg.study.condition or cfg.study.ruler
        self._folder = Path(cfg.study_dir).expanduser() / FOLDER if twice else None
        # How many threads there are changes the last bits alone.
        rest = OmegaConf.masked_copy(cfg.trainer, [k for k in cfg.trainer if k != "threads"])
        settings = [cfg.classifier, rest, *(OmegaConf.select(cfg, key) for key in _DETERMINE)]
        settings += [cfg.study[key] for key in _OF_STUDY]
        plain = [
            OmegaConf.to_container(one, resolve=True) if OmegaConf.is_config(one) else one
            for one in settings
        ]
        measured = [_of_table(table) for table in (validation, *tables.values())]
        self._common = json.dumps([_VERSION, plain, measured], sort_keys=True)

    def key(self, arm: SettledArm, repeat: int, real: ImageTable, added: AddedImages) -> str:
        """Return what two fits share only if they are the same, whatever their arms are called.

        Args:
            arm: the arm's settings.
            repeat: which of its fits.
            real: its real images.
            added: what it adds.
        """
        soft, of = (np.zeros(0) if x is None else x for x in (added.soft, added.sources))
        content = [
            self._common,
            _what_matters(arm, added),
            repeat,
            _of_table(real),
            [_of_array(array) for array in (added.images, added.labels, soft, of)],
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def take(self, key: str, arm: str, fingerprint: str, path: Path) -> FitResult | None:
        """Copy a fit that has been kept to `path`; None where there is no sound one.

        Args:
            key: from `key`.
            arm: whose fit it is here.
            fingerprint: of the data; images that the fit has not seen may have changed since.
            path: the JSON to write, and beside it the arrays.
        """
        if self._folder is None:
            return None
        kept = self._folder / f"{key}.json"
        if not kept.exists():
            return None
        arrays, own = kept.with_suffix(".npz"), path.with_suffix(".npz")
        try:
            found = _read(kept)
            content = _read_arrays(arrays)
            replace_file(own, lambda p: p.write_bytes(content))
            read_predictions(own, found.predictions, "fitting again")
        except GanAugError as error:
            warn(str(error))
            return None
        update = {"arm": arm, "reused": True, "fingerprint": fingerprint}
        found = found.model_copy(update=update)
        found.write(path)
        return found

    def keep(self, key: str, path: Path) -> None:
        """Keep the fit at `path` for other jobs.

        Raises:
            GanAugError: it cannot be written.
        """
        if self._folder is None:
            return
        study, arrays = self._folder.parent, path.with_suffix(".npz")
        replace_file(self._folder / f"{key}.npz", lambda p: shutil.copyfile(arrays, p), study)
        fit = path.read_text()
        # Last: what it names is there then.
        write_json(self._folder / f"{key}.json", {"fit": fit, "sha256": _of_text(fit)}, study)


def _read_arrays(path: Path) -> bytes:
    try:
        return read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise GanAugError(f"{path}: cannot be read ({error.strerror}); fitting again") from error


def _read(kept: Path) -> FitResult:
    """Read a kept fit, whose hash must be its own.

    Raises:
        GanAugError: it is damaged.
    """
    remedy = "fitting again"
    content = read_json(kept, remedy)
    fit = content.get("fit")
    if not isinstance(fit, str) or content.get("sha256") != _of_text(fit):
        raise GanAugError(f"{kept}: is damaged; {remedy}")
    try:
        return FitResult.parse(json.loads(fit), str(kept), remedy)
    except ValueError as error:
        raise GanAugError(f"{kept}: {error}; {remedy}") from error


def _of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _what_matters(arm: SettledArm, added: AddedImages) -> Any:
    """Return an arm's settings, of which title, counts and source are in the images themselves."""
    plain = arm.model_dump(exclude={"title", "real", "added"})
    if not len(added.labels):
        return plain
    return plain | {"added": arm.added.model_dump(exclude={"source", "count", "filter"})}


def _of_table(table: ImageTable) -> list[str]:
    patients = np.unique(table.patients, return_inverse=True)[1]
    return [_of_array(array) for array in (np.asarray(table.images), table.labels, patients)]


def _of_array(array: np.ndarray) -> str:
    digest = hashlib.sha256(f"{array.dtype} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
