"""How the predictions of a fit are kept: as log-odds, in a quarter of the bytes of probabilities.

Rounded to 32 bits, a probability of nearly 1 loses what ranks it; log-odds do not, at either end.
What is measured is what is kept, so that anyone gets the same numbers from the files. (Beyond
log-odds of 36 probabilities are 1 in 64 bits too: there they tie, as they always did.)
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_aug.metrics.classification import to_probabilities
from gan_aug.run.files import open_regular

MOST_BYTES = 256 * 2**20
"""Of the arrays of one fit, packed or not."""
LOGITS = "_logits"
"""After the name of what was predicted: an array of `to_keep`."""


def to_keep(logits: Tensor) -> NDArray[np.float32]:
    """Turn logits (N, K) into float32: (N, K), or of two classes (N,), those of the second less.

    The first's are 0 then.
    """
    if logits.shape[1] == 2:
        logits = logits[:, 1].double() - logits[:, 0].double()
    return logits.float().numpy()


def probabilities_of(kept: NDArray[Any]) -> NDArray[np.float64]:
    """Turn what `to_keep` gives into probabilities (N, K).

    Raises:
        ValueError: it is no such array.
    """
    if kept.dtype != np.float32 or kept.ndim not in (1, 2) or not np.isfinite(kept).all():
        raise ValueError("are no finite float32 logits")
    logits = torch.from_numpy(kept)
    if kept.ndim == 1:
        logits = torch.stack([torch.zeros_like(logits), logits], dim=1)
    found: NDArray[np.float64] = to_probabilities(logits).numpy()
    return found


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a fit, which may come from anyone; nothing in them is run.

    Raises:
        Exception: of almost any kind, for what is no such file, or is larger than `MOST_BYTES`.
    """
    with open_regular(path, MOST_BYTES) as file:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
        if unpacked > MOST_BYTES:
            raise ValueError(f"unpacks to {unpacked} bytes, at most {MOST_BYTES} are read")
        file.seek(0)
        with np.load(file, allow_pickle=False) as found:
            return dict(found)
