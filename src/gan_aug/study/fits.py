"""The fits of a draw's classifiers: found if they have been done before, done otherwise.

An earlier attempt of the draw leaves them in `fits/`. Fits that stand several times in a study,
under other conditions or as a ruler's own size, are kept in its folder by all that determines them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from lightning.pytorch import Callback
from numpy.typing import NDArray

from gan_aug.arms.base import ArmImages, mixing_of
from gan_aug.arms.learner import Learning
from gan_aug.data.datamodule import DataModule
from gan_aug.data.image_table import ImageTable
from gan_aug.data.splits import Splits
from gan_aug.models.fit import Fit, fit_classifier
from gan_aug.models.foreign import build_augment
from gan_aug.models.learners.base import Learner
from gan_aug.report.metrics import MeasuredFit, measure_fit, titles_of
from gan_aug.report.predictions import (
    Predicted,
    Predictions,
    hash_of,
    read_predictions,
    to_keep,
    write_predictions,
)
from gan_aug.report.records import FitResult
from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.files import read_json, sha256_of_json, write_json
from gan_aug.runtime.progress import stage
from gan_aug.runtime.seeds import stream_seed
from gan_aug.settings.arms import ArmSettings
from gan_aug.settings.base import build_plain
from gan_aug.settings.models import LearnerNode
from gan_aug.settings.study import SettledStudy
from gan_aug.study.batches import ArmPlan, pool_of, used
from gan_aug.training.callbacks import ReportProgress

FOR_ADDED_IMAGES: Final = "judge"
"""In place of a repeat: the fit on a draw's real images that is asked about added ones. It is a
purpose of seeds (`runtime/seeds.py`) and keeps its text: another would give it other weights."""
SHARED = ".fits"
"""In a study's folder."""
_AGAIN = "fitting again"
_VERSION = 1
"""Raised when a change of this code gives another fit with the same settings and images."""


class DrawFits:
    """Does the fits of one draw, each once.

    With neither a condition nor a ruler no fit stands twice, and none is kept for other jobs.
    """

    def __init__(
        self, settings: SettledStudy, splits: Splits, folder: Path, commit: str | None = None
    ) -> None:
        self._settings, self._splits = settings, splits
        self._folder, self._commit = folder, commit
        self.tables = {name: splits.table(name) for name in settings.study.splits}
        self._external = splits.external_fingerprints
        self._study = Path(settings.study_dir).expanduser()
        self._shares = bool(settings.study.condition or settings.study.ruler)
        self._common = self._what_all_depend_on() if self._shares else ""

    def own(self, arm: str, repeat: int) -> Path:
        """Return the file that holds a fit in the draw's folder, once it is done."""
        return self._folder / "fits" / f"{arm}_{repeat}.json"

    def shared(self, arm: str, repeat: int, images: ArmImages) -> Path | None:
        """Return the file that holds it for all jobs of the study; None: for no other job."""
        if not self._shares:
            return None
        return self._study / SHARED / f"{self._key(arm, repeat, images)}.json"

    def find_or_fit(
        self, arm: str, repeat: int, images: ArmImages
    ) -> tuple[FitResult, MeasuredFit]:
        """Return a fit of an arm on its images, and what it measures.

        Raises:
            GanAugError: a fit of an earlier attempt is of other data, or training diverged.
        """
        stage(f"{arm}, fit {repeat + 1} of {self._settings.study.repeats}")
        path = self.own(arm, repeat)
        classes, now = self._splits.classes, self._splits.fingerprint
        if (finished := _read(path)) is not None:
            fit, predictions = finished
            if fit.fingerprint != now:
                raise GanAugError(
                    f"{path}: was fitted on other data (fingerprint {fit.fingerprint}) than there "
                    f"is now ({now}); remove {path.parents[1]} to run this draw again"
                )
            if fit.external_tests != self._external:
                raise GanAugError(
                    f"{path}: was measured on other images of data.external than there are now; "
                    f"remove {path.parents[1]} to run this draw again"
                )
            if moved := [n for n, t in self.tables.items() if not _in_order(predictions.get(n), t)]:
                raise GanAugError(
                    f"{path}: the {moved[0]} images have another order or other patients than when "
                    "they were measured; put back the rows of data.table (new columns may stay), "
                    f"or remove {path.parents[1]} to run this draw again"
                )
            return fit, measure_fit(predictions, classes)
        kept = self.shared(arm, repeat, images)
        if kept is not None and (shared := _read(kept, sealed=True)) is not None:
            fit, predictions = shared
            own = {"arm": arm, "reused": True, "fingerprint": now, "external_tests": self._external}
            fit = fit.model_copy(update=own)
            _write(path, fit, predictions)
            print(f"  {arm} {repeat}: has been done before", flush=True)
            return fit, measure_fit(predictions, classes)
        fit, predictions = self._fit(arm, repeat, images)
        _write(path, fit, predictions)
        if kept is not None:
            _write(kept, fit, predictions, self._study)
        numbers, first = measure_fit(predictions, classes), self._settings.study.endpoints[0]
        measured = f"{titles_of(classes)[first.name]} {numbers.value(first.split, first.name):.4f}"
        print(f"  {arm} {repeat}: {first.split} {measured}, {fit.seconds:.1f} s", flush=True)
        return fit, numbers

    def _fit(self, name: str, repeat: int, images: ArmImages) -> tuple[FitResult, Predictions]:
        arm, splits = self._settings.arms[name], self._splits
        fitted, data = fit_arm(self._settings, arm, images, repeat, splits.validation, self.tables)
        predictions = predict(fitted, data)
        fit = FitResult(
            arm=name,
            repeat=repeat,
            steps=fitted.steps,
            chosen=fitted.chosen,
            seconds=fitted.seconds,
            initial_weights=fitted.initial_weights,
            fingerprint=splits.fingerprint,
            external_tests=self._external,
            git_commit=self._commit,
            curve=fitted.curve,
            used=used(data.shown, data.pool, splits.classes),
            predictions=hash_of(predictions),
        )
        return fit, predictions

    def _what_all_depend_on(self) -> str:
        plain, study = self._settings.plain(), self._settings.study
        plain["trainer"].pop("threads", None)  # how many there are changes the last bits alone
        settings = [plain[key] for key in ("classifier", "trainer", "seed", "draw")]
        settings += [plain["data"]["batch_size"], plain["study"]["steps"]]
        settings += [study.validate_every, study.splits]
        measured = [_of_table(one) for one in (self._splits.validation, *self.tables.values())]
        return json.dumps([_VERSION, settings, measured], sort_keys=True)

    def _key(self, name: str, repeat: int, images: ArmImages) -> str:
        """Return what two fits share only if they are the same, whatever their arms are called."""
        arm = self._settings.arms[name]
        # Title, counts and source are in the images themselves.
        what = arm.model_dump(exclude={"title", "real", "added"})
        # A behaviour that is off is no part of the key: one that joins gan_aug leaves keys alone.
        what = {name: v for name, v in what.items() if v is not None or name == "augment"}
        if len(images.added):
            of_images = {"source", "dir", "seen", "count", "filter"}
            what["added"] = arm.added.model_dump(exclude=of_images)
        soft = np.zeros(0) if images.soft is None else images.soft
        added = (images.added, images.labels, soft, images.sources)
        arrays = [_of_array(one) for one in added]
        if len(images.unlabelled):
            arrays.append(_of_array(images.unlabelled))
        content = [self._common, what, repeat, _of_table(images.real), arrays]
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


def _in_order(predicted: Predicted | None, table: ImageTable) -> bool:
    """Tell whether predictions are of the images of a table one by one, as far as they tell."""
    own = (table.labels, _numbered(table))
    return predicted is not None and all(
        map(np.array_equal, (predicted.labels, predicted.patients), own)
    )


def _numbered(table: ImageTable) -> NDArray[np.int64]:
    """Return the patients as numbers, which do not say who they are."""
    return np.unique(table.patients, return_inverse=True)[1].astype(np.int64)


def _of_table(table: ImageTable) -> list[str]:
    arrays = (np.asarray(table.images), table.labels, _numbered(table))
    return [_of_array(array) for array in arrays]


def _of_array(array: NDArray[Any]) -> str:
    digest = hashlib.sha256(f"{array.dtype} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def fit_arm(
    settings: SettledStudy,
    arm: ArmSettings,
    images: ArmImages,
    repeat: int | Literal["judge"],
    validation: ImageTable,
    measured: Mapping[str, ImageTable] | None = None,
    watch: Callback | None = None,
) -> tuple[Fit, DataModule]:
    """Fit the classifier for `study.steps`; return the fit and what it was trained on.

    The initial weights depend on seed, draw and repeat alone, so all arms share them; so does the
    order of batches where two arms have the same images. Where the study has steps chosen, they
    are those of the lowest validation loss after any pretraining.

    `repeat` says which of the arm's fits it is; `measured` are the splits that it is measured on.
    `watch` is called while it trains, None: what reports its progress.

    Raises:
        GanAugError: the arm's images cannot be mixed as it says, or training diverged.
    """
    steps, key = settings.study.steps, (settings.seed, settings.draw, repeat)
    nodes = {"augment": arm.augment, "added.augment": arm.added.augment}
    changes = [build_augment(node, f"arm {arm.title!r}: {name}") for name, node in nodes.items()]
    order = stream_seed("order", *key, arm.stream)
    plan = ArmPlan(arm, images, settings.data.batch_size, steps.max, order)
    node, learner = Learning.of(arm).learner, None
    if node is not None:
        learner = partial(learner_of, node, settings, f"arm {arm.title!r}")
    data = DataModule(pool_of(images, arm, *changes), plan, steps.max, validation, measured)
    fit = fit_classifier(
        settings.classifier.module,
        data,
        settings.trainer,
        stream_seed("weights", *key),
        what=f"arm {arm.title!r}",
        key="classifier",
        noise_seed=stream_seed("noise", *key, arm.stream),
        validate_every=settings.study.validate_every,
        choose_after=mixing_of(arm).first_steps(steps.max) if steps.chosen else None,
        callbacks=[watch or ReportProgress()],
        learner=learner,
    )
    return fit, data


def learner_of(node: LearnerNode, settings: SettledStudy, key: str) -> Learner:
    """Build a learner for a study's images; GanAugError, naming `key`: it cannot be built."""
    changes = {name: build_augment(one, f"{key}.{name}") for name, one in node.changes().items()}
    plain = {name: value for name, value in node.plain().items() if name not in changes}
    of_images = {"image_size": settings.data.image_size, "channels": settings.data.channels}
    learner: Learner = build_plain(plain, key, **of_images, **changes)
    return learner


@torch.no_grad()
def predict(fit: Fit, data: DataModule) -> dict[str, Predicted]:
    """Return what a fit predicts of each split, read once; raise GanAugError if not finite."""
    modules = [fit.module] if fit.last is None else [fit.module, fit.last]
    predicted: dict[str, Predicted] = {}
    for split in data.measured_on:
        images = data.evaluation(split)
        by_batch = [[module.network(batch["image"]) for module in modules] for batch in images]
        logits = [to_keep(torch.cat(of_module)) for of_module in zip(*by_batch, strict=True)]
        if not all(np.isfinite(one).all() for one in logits):
            raise GanAugError("training diverged, logits are not finite; lower classifier.lr")
        predicted[split] = Predicted(images.table.labels, _numbered(images.table), *logits)
    return predicted
