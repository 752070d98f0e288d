"""What a fit predicts, image by image: log-odds, of which every number of a report is computed.

Rounded to 32 bits, a probability of nearly 1 loses what ranks it; log-odds do not, at either end.
(Beyond log-odds of 36 probabilities are 1 in 64 bits too: there they tie.)

A fit's predictions lie in its own .npz. An archive holds those of all fits, each once, as one tidy
table: fit, split, image, label, patient, logits, last_logits.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_aug.metrics.classification import to_probabilities
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import open_regular, read_bytes, replace_file

MOST_BYTES = 256 * 2**20
"""Of the arrays of one fit, packed or not."""
MOST_OF_STUDY, MOST_ROWS, MOST_FITS = 2**30, 10**8, 10**5
"""Bytes, rows and fits of an archive's table. (A page of it unpacks to 2 GiB at most.)"""
FOLDER = "predictions"
"""In an archive: its tables."""
_COLUMNS = ("fit", "split", "image", "label", "patient", "logits", "last_logits")

Numbers = NDArray[np.float64]
Logits = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Predicted:
    """What a fit predicts of the N images of a split."""

    labels: NDArray[np.int64]  # (N,)
    patients: NDArray[np.int64]  # (N,) numbered within the split: names may say who that is
    logits: Logits  # (N,) log-odds of the second class of two, else (N, K)
    last_logits: Logits | None = None  # of the last step's weights, where validation chose others

    def probabilities(self, last: bool = False) -> Numbers:
        """Return the classes' probabilities (N, K), of the last step's weights where asked."""
        kept = self.last_logits if last else self.logits
        assert kept is not None
        logits = torch.from_numpy(kept.astype(np.float64))
        if kept.ndim == 1:
            logits = torch.stack([torch.zeros_like(logits), logits], dim=1)
        return cast(Numbers, to_probabilities(logits).numpy())

    def take(self, images: NDArray[np.bool_]) -> Predicted:
        """Return what is predicted of some of the images."""
        return Predicted(**{name: array[images] for name, array in self.arrays().items()})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return its arrays by name."""
        return {name: array for name, array in vars(self).items() if array is not None}


Predictions = Mapping[str, Predicted]
"""By split."""


def to_keep(logits: Tensor) -> NDArray[np.float32]:
    """Turn logits (N, K) into float32: (N, K), or of two classes (N,), those of the second less.

    The first's are 0 then.
    """
    if logits.shape[1] == 2:
        logits = logits[:, 1].double() - logits[:, 0].double()
    return logits.float().numpy()


def hash_of(predictions: Predictions) -> str:
    """Return the SHA-256 of what a fit predicts, however it is packed."""
    digest = hashlib.sha256()
    for split, predicted in sorted(predictions.items()):
        for name, array in predicted.arrays().items():
            digest.update(f"{split} {name} {array.dtype} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def write_predictions(path: Path, predictions: Predictions, within: Path | None = None) -> None:
    """Write the predictions of one fit to an .npz; see `run.files.replace_file` for `within`.

    Raises:
        GanAugError: the file cannot be written.
    """
    buffer = io.BytesIO()
    arrays = {
        f"{split}_{name}": array
        for split, predicted in predictions.items()
        for name, array in predicted.arrays().items()
    }
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    replace_file(path, lambda temporary: temporary.write_bytes(buffer.getvalue()), within)


def read_predictions(path: Path, wanted: str, remedy: str) -> Predictions:
    """Read the predictions of one fit, which may come from anyone; nothing in them is run.

    `wanted` is their `hash_of`, `remedy` what to do where they are damaged.

    Raises:
        GanAugError: the file is missing or damaged, or holds other predictions.
    """
    try:
        arrays = read_arrays(path)
        splits = [name.removesuffix("_labels") for name in arrays if name.endswith("_labels")]
        predictions = {
            split: Predicted(
                arrays[f"{split}_labels"],
                arrays[f"{split}_patients"],
                arrays[f"{split}_logits"],
                arrays.get(f"{split}_last_logits"),
            )
            for split in splits
        }
    except Exception as error:  # numpy and zipfile raise almost anything on a damaged file
        raise GanAugError(f"{path}: cannot be read ({error}); {remedy}") from error
    if hash_of(predictions) != wanted:
        raise GanAugError(f"{path}: is not the file that the fit wrote; {remedy}")
    return predictions


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read an .npz within bounds; nothing in it is run.

    Raises:
        Exception: of almost any kind, for what is no such file, or is larger than `MOST_BYTES`.
    """
    with open_regular(path, MOST_BYTES) as file:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
        if unpacked > MOST_BYTES:
            raise ValueError(f"unpacks to {unpacked} bytes, at most {MOST_BYTES} are read")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)


def table_of(fits: Iterable[tuple[str, Predictions]]) -> pl.DataFrame:
    """Return the predictions of fits, each with its hash, as one table: a row for each image."""
    return pl.concat(
        _rows(name, split, one) for name, predictions in fits for split, one in predictions.items()
    )


def _rows(fit: str, split: str, one: Predicted) -> pl.DataFrame:
    n, logits, last = len(one.labels), pl.Series(one.logits), one.last_logits
    columns = (
        pl.repeat(fit, n, eager=True),
        pl.repeat(split, n, eager=True),
        np.arange(n, dtype=np.uint32),
        one.labels.astype(np.uint16),
        one.patients.astype(np.uint32),
        logits,
        pl.repeat(None, n, dtype=logits.dtype, eager=True) if last is None else last,
    )
    return pl.DataFrame(dict(zip(_COLUMNS, columns, strict=True)))


class PredictionTables:
    """The predictions of an archive's fits, by their hash; read when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self._paths = sorted((folder / FOLDER).glob("*.parquet"))
        self._fits: dict[str, pl.DataFrame | Predictions] = {}

    def find(self, wanted: str) -> Predictions | None:
        """Return the predictions of a fit, checked by their hash; None: no table has them.

        Raises:
            GanAugError: a table is damaged, or holds other predictions under that hash.
        """
        while self._paths:
            self._fits |= _read_table(self._paths.pop())
        rows = self._fits.get(wanted)
        if not isinstance(rows, pl.DataFrame):  # there is none, or it was asked for before
            return rows
        try:
            splits = rows.partition_by("split", as_dict=True)
            predictions = {str(split): _predicted(one) for (split,), one in splits.items()}
            same = hash_of(predictions) == wanted
        except (Exception, pl.exceptions.PanicException):  # columns may be of any kind
            same = False
        if not same:
            raise GanAugError(f"{FOLDER}/: is damaged at {wanted[:16]}; unpack the archive again")
        self._fits[wanted] = predictions
        return predictions


def _read_table(path: Path) -> dict[str, pl.DataFrame]:
    try:
        content = read_bytes(path, MOST_OF_STUDY)
        rows = pl.scan_parquet(content).select(pl.len()).collect().item()
        if rows > MOST_ROWS:
            raise ValueError(f"has {rows} rows, at most {MOST_ROWS} are read")
        table = pl.read_parquet(content, columns=list(_COLUMNS), n_rows=MOST_ROWS)
        if (fits_there := table["fit"].n_unique()) > MOST_FITS:
            raise ValueError(f"has {fits_there} fits, at most {MOST_FITS} are read")
        fits = table.sort("image").partition_by("fit", as_dict=True, include_key=False)
    except (Exception, pl.exceptions.PanicException) as error:  # polars may raise almost anything
        raise GanAugError(f"{path}: cannot be read ({error}); unpack the archive again") from error
    return {str(name): rows for (name,), rows in fits.items()}


def _predicted(rows: pl.DataFrame) -> Predicted:
    last = rows["last_logits"]
    return Predicted(
        rows["label"].to_numpy().astype(np.int64),
        rows["patient"].to_numpy().astype(np.int64),
        rows["logits"].to_numpy(),
        None if last.null_count() else last.to_numpy(),
    )
