"""Libraries say things that a user cannot act on."""

from __future__ import annotations

import logging
import warnings

_NOISE = (
    "You passed in a `val_dataloader` but have no `validation_step`",
    "The number of training batches .* is smaller than the logging interval",
    "Found .* module.* in eval mode at the start of training",
    "You defined a `validation_step` but have no `val_dataloader`",
    "Metric `Kernel Inception Distance` will save all extracted features",
    "You're resuming from a checkpoint that ended before the epoch ended",
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",
    "The `srun` command is available on your system but is not used",
    "torch.searchsorted\\(\\): input value tensor is non-contiguous",
)
"""Library warnings that do not hold here, or that a user cannot act on."""


def quieten() -> None:
    """Silence what libraries say that a user cannot act on."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in _NOISE:
        warnings.filterwarnings("ignore", message)
