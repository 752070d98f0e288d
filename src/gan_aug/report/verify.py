"""Are a draw's results what its predictions give? A study's folder is data that may be damaged."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gan_aug.data.classes import Classes
from gan_aug.metrics.classification import choose_threshold, measure
from gan_aug.report.draw_result import LAST, DrawResult, FitResult
from gan_aug.report.predictions import LOGITS, probabilities_of, read_arrays
from gan_aug.run.errors import GanAugError
from gan_aug.run.files import sha256_of
from gan_aug.run.run_record import RunRecord
from gan_aug.run.typed import to_plain
from gan_aug.settings.draw import DrawSettings

TOLERANCE = 1e-6
"""AUROC and the like are computed in 32 bits, and may differ that little between torch versions."""
_REMEDY = "run that draw again"


def verify_draw(
    folder: Path, record: RunRecord, settings: DrawSettings, result: DrawResult
) -> None:
    """Check a finished draw: its results must follow from `fits/*.npz`, and be of its own settings.

    Args:
        folder: the draw's.
        record: its run.json.
        settings: its settings, as the record has them.
        result: its metrics.json.

    Raises:
        GanAugError: naming the file and what disagrees.
    """
    path = folder / "metrics.json"
    try:
        _check_settings(path, settings, result)
        _check_fits(folder, result)
    except GanAugError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise GanAugError(
            f"{path}: is damaged ({type(error).__name__}: {error}); {_REMEDY}"
        ) from error
    written = record.metrics_sha256
    if written is not None and written != sha256_of(path):
        raise GanAugError(f"{path}: is not the file that its run wrote; {_REMEDY}")


def _check_settings(path: Path, settings: DrawSettings, result: DrawResult) -> None:
    study = settings.study
    for key, says, wanted in (
        ("draw", result.draw, settings.draw),
        ("condition", result.condition, study.condition),
        ("question", result.question, study.question),
        ("comparisons", result.comparisons, study.comparisons),
        ("primary", result.primary, study.primary),
    ):
        if says != wanted:
            raise GanAugError(
                f"{path}: says {key} = {to_plain(says)}, run.json beside it {to_plain(wanted)}; "
                f"{_REMEDY}"
            )
    if list(result.arms) != list(settings.arms):
        raise GanAugError(f"{path}: has other arms than run.json beside it; {_REMEDY}")


def _check_fits(folder: Path, result: DrawResult) -> None:
    path = folder / "metrics.json"
    classes = result.data_classes
    names = Counter((fit.arm, fit.repeat) for fit in result.fits)
    if twice := [name for name, n in names.items() if n > 1]:
        raise GanAugError(f"{path}: counts the fit {twice[0]} twice; {_REMEDY}")
    if unknown := {arm for arm, _ in names} - result.arms.keys():
        raise GanAugError(f"{path}: has fits of {min(unknown)}, which is no arm of it; {_REMEDY}")
    labels: dict[str, NDArray[np.int64]] = {}
    for fit in result.fits:
        arrays = read_predictions(folder, fit.arm, fit.repeat, result)
        for split in result.splits:
            same = labels.setdefault(split, arrays[f"{split}_labels"])
            if not np.array_equal(same, arrays[f"{split}_labels"]):
                raise GanAugError(f"{path}: its fits have different {split} images; {_REMEDY}")
        _compare(path, fit, arrays, list(result.splits), classes)


def read_predictions(
    folder: Path, arm: str, repeat: int, result: DrawResult
) -> dict[str, NDArray[Any]]:
    """Read the probabilities and labels by split of one fit.

    Args:
        folder: the draw's.
        arm: of the fit.
        repeat: of the fit.
        result: of the draw.

    Returns:
        By split the probabilities (N, K), and where validation chose the steps also by split and
        `LAST`; by split and `_labels` the labels (N,), and but of early versions `_patients` the
        patients' numbers (N,).

    Raises:
        GanAugError: the file is missing or damaged, or does not hold such splits.
    """
    path = folder / "fits" / f"{arm}_{repeat}.npz"
    classes = result.data_classes
    try:
        arrays = read_arrays(path)
    except Exception as error:  # numpy and zipfile raise almost anything on a damaged file
        raise GanAugError(f"{path}: cannot be read ({error}); {_REMEDY}") from error
    chosen = any(fit.last is not None for fit in result.fits_of(arm))
    for split, counts in result.splits.items():
        labels = arrays.get(f"{split}_labels")
        for name in (split, split + LAST) if chosen else (split,):
            if name + LOGITS in arrays:
                try:
                    arrays[name] = probabilities_of(arrays.pop(name + LOGITS))
                except ValueError as error:
                    raise GanAugError(f"{path}: its {name} arrays {error}; {_REMEDY}") from error
            scores = arrays.get(name)  # itself, of an earlier version
            if scores is None or labels is None:
                raise GanAugError(f"{path}: holds no predictions of {name}; {_REMEDY}")
            if scores.ndim == 1 and len(classes) == 2:  # the second class, earlier still
                scores = arrays[name] = np.stack([1 - scores, scores], axis=1)
            shapes = (scores.shape, labels.shape)
            if shapes != ((len(labels), len(classes)), (len(labels),)) or scores.dtype.kind != "f":
                raise GanAugError(f"{path}: its {name} arrays are no probabilities; {_REMEDY}")
            if not ((scores >= 0) & (scores <= 1)).all():  # a NaN is neither
                raise GanAugError(f"{path}: {name} holds values outside 0 to 1; {_REMEDY}")
        assert labels is not None
        patients = arrays.get(f"{split}_patients")  # None: of an early version
        if patients is not None and (patients.shape != labels.shape or patients.dtype.kind != "i"):
            raise GanAugError(f"{path}: its {split}_patients are no numbers; {_REMEDY}")
        if {name: int((labels == i).sum()) for i, name in enumerate(classes)} != counts:
            raise GanAugError(f"{path}: its {split} labels are not {counts}; {_REMEDY}")
    return arrays


def _compare(
    path: Path,
    fit: FitResult,
    arrays: dict[str, NDArray[Any]],
    splits: list[str],
    classes: Classes,
) -> None:
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    where = f"{path}: {fit.arm} {fit.repeat}"
    of_weights = [("", fit.threshold)]
    if fit.last is not None:
        of_weights.append((LAST, fit.last.threshold))
    for of, threshold in of_weights:
        if "validation" in splits:
            scores = tensors["validation" + of]
            found = choose_threshold(scores, tensors["validation_labels"], classes)
            if found is not None:
                _agree(where, f"threshold{of}", threshold, found)
        for split in splits:
            measured = measure(tensors[split + of], tensors[f"{split}_labels"], classes, threshold)
            for title, values in measured.items():
                for name, value in values.items():
                    says = fit.on(split + of)[title][name]
                    _agree(where, f"{split}{of} {title} {name}", says, value)


def _agree(where: str, name: str, says: Any, gives: float) -> None:
    if not (isinstance(says, int | float) and math.isclose(says, gives, abs_tol=TOLERANCE)):
        raise GanAugError(
            f"{where} says {name} = {says}, its predictions give {gives:.6g}; {_REMEDY}"
        )
