"""The fits of a draw: found if they have been done before, done otherwise.

An earlier attempt of the draw leaves them in `fits/`. Fits that stand several times in a study,
under other conditions or as a ruler's own size, are kept in its folder by all that determines them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.image_table import ImageTable
from gan_aug.data.splits import Splits
from gan_aug.report.metrics import MeasuredFit, measure_fit, titles_of
from gan_aug.report.predictions import (
    Predictions,
    hash_of,
    read_predictions,
    write_predictions,
)
from gan_aug.report.records import FitResult
from gan_aug.run.errors import GanAugError, warn
from gan_aug.run.files import read_json, sha256_of_json, write_json
from gan_aug.run.progress import stage
from gan_aug.run.record import Run
from gan_aug.settings.study import SettledStudy
from gan_aug.study.batches import AddedImages, used
from gan_aug.study.fitting import arm_data, fit_arm, predict

SHARED = ".fits"
"""In a study's folder."""
_AGAIN = "fitting again"
_VERSION = 1
"""Raised when a change of this code gives another fit with the same settings and images."""


class DrawFits:
    """Does the fits of one draw, each once.

    Args:
        settings: of the study. With neither a condition nor a ruler no fit stands twice, and none
            is kept for others.
        splits: the draw.
        run: of the draw.
    """

    def __init__(self, settings: SettledStudy, splits: Splits, run: Run) -> None:
        self._settings, self._splits, self._run = settings, splits, run
        self._tables = {name: getattr(splits, name) for name in settings.study.splits}
        self._study = Path(settings.study_dir).expanduser()
        self._shares = bool(settings.study.condition or settings.study.ruler)
        self._common = self._what_all_depend_on() if self._shares else ""

    def find_or_fit(
        self, arm: str, repeat: int, real: ImageTable, added: AddedImages
    ) -> tuple[FitResult, MeasuredFit]:
        """Return a fit and what it measures.

        Args:
            arm: its name.
            repeat: which of its fits.
            real: its real images.
            added: what it adds.

        Raises:
            GanAugError: a fit of an earlier attempt is of other data, or training diverged.
        """
        stage(f"{arm}, fit {repeat + 1} of {self._settings.study.repeats}")
        path = self._run.folder / "fits" / f"{arm}_{repeat}.json"
        classes = self._splits.classes
        if (finished := _read(path)) is not None:
            self._check_data(path, finished[0])
            return finished[0], measure_fit(finished[1], classes)
        kept = self._study / SHARED / f"{self._key(arm, repeat, real, added)}.json"
        if (shared := _read(kept, sealed=True) if self._shares else None) is not None:
            update = {"arm": arm, "reused": True, "fingerprint": self._splits.fingerprint}
            fit, predictions = shared[0].model_copy(update=update), shared[1]
            _write(path, fit, predictions)
            print(f"  {arm} {repeat}: has been done before", flush=True)
            return fit, measure_fit(predictions, classes)
        fit, predictions = self._fit(arm, repeat, real, added)
        _write(path, fit, predictions)
        if self._shares:
            _write(kept, fit, predictions, self._study)
        numbers, first = measure_fit(predictions, classes), self._settings.study.endpoints[0]
        title, value = titles_of(classes)[first.name], numbers.value(first.split, first.name)
        print(
            f"  {arm} {repeat}: {first.split} {title} {value:.4f}, {fit.seconds:.1f} s", flush=True
        )
        return fit, numbers

    def _fit(
        self, name: str, repeat: int, real: ImageTable, added: AddedImages
    ) -> tuple[FitResult, Predictions]:
        settings, splits = self._settings, self._splits
        arm = settings.arms[name]
        data = arm_data(settings, arm, real, added, repeat, splits.validation, self._tables)
        fitted = fit_arm(settings, arm, data, repeat)
        predictions = predict(fitted, data)
        fit = FitResult(
            arm=name,
            repeat=repeat,
            steps=fitted.steps,
            chosen=fitted.chosen,
            seconds=fitted.seconds,
            initial_weights=fitted.initial_weights,
            fingerprint=splits.fingerprint,
            git_commit=self._run.commit,
            curve=fitted.curve,
            used=used(data.shown, data.pool, splits.classes),
            predictions=hash_of(predictions),
        )
        return fit, predictions

    def _check_data(self, path: Path, fit: FitResult) -> None:
        """Refuse a fit of an earlier attempt that is of other data."""
        now = self._splits.fingerprint
        if fit.fingerprint != now:
            raise GanAugError(
                f"{path}: was fitted on other data (fingerprint {fit.fingerprint}) than there "
                f"is now ({now}); remove {path.parents[1]} to run this draw again"
            )

    def _what_all_depend_on(self) -> str:
        plain, study = self._settings.plain(), self._settings.study
        plain["trainer"].pop("threads", None)  # how many there are changes the last bits alone
        settings = [plain[key] for key in ("classifier", "trainer", "seed", "draw")]
        settings += [plain["data"]["batch_size"], plain["study"]["steps"]]
        settings += [study.validate_every, study.splits]
        measured = [_of_table(one) for one in (self._splits.validation, *self._tables.values())]
        return json.dumps([_VERSION, settings, measured], sort_keys=True)

    def _key(self, name: str, repeat: int, real: ImageTable, added: AddedImages) -> str:
        """Return what two fits share only if they are the same, whatever their arms are called."""
        arm = self._settings.arms[name]
        # Title, counts and source are in the images themselves.
        what = arm.model_dump(exclude={"title", "real", "added"})
        if len(added.labels):
            what["added"] = arm.added.model_dump(exclude={"source", "count", "filter"})
        optional = (np.zeros(0) if x is None else x for x in (added.soft, added.sources))
        arrays = [_of_array(one) for one in (added.images, added.labels, *optional)]
        content = [self._common, what, repeat, _of_table(real), arrays]
        return sha256_of_json(content)[:32]


def _write(path: Path, fit: FitResult, predictions: Predictions, study: Path | None = None) -> None:
    """Write a fit, sealed with its hash where all jobs of a study may read it."""
    write_predictions(path.with_suffix(".npz"), predictions, study)
    plain = fit.plain()
    sealed = {"fit": plain, "sha256": sha256_of_json(plain)}
    write_json(path, plain if study is None else sealed, study)


def _read(path: Path, sealed: bool = False) -> tuple[FitResult, Predictions] | None:
    """Read a fit, which any job may have written; None where there is no sound one."""
    if not path.exists():  # the JSON is written last, so the predictions beside it are whole
        return None
    try:
        content = read_json(path, _AGAIN)
        if sealed and content.get("sha256") != sha256_of_json(content.get("fit")):
            raise GanAugError(f"{path}: is damaged; {_AGAIN}")
        fit = FitResult.parse(content["fit"] if sealed else content, str(path), _AGAIN)
        return fit, read_predictions(path.with_suffix(".npz"), fit.predictions, _AGAIN)
    except GanAugError as error:
        warn(str(error))
        return None


def _of_table(table: ImageTable) -> list[str]:
    patients = np.unique(table.patients, return_inverse=True)[1]
    return [_of_array(array) for array in (np.asarray(table.images), table.labels, patients)]


def _of_array(array: NDArray[Any]) -> str:
    digest = hashlib.sha256(f"{array.dtype} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
