"""Which checkpoint a run goes on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_aug.data.origin import Origin
from gan_aug.models.restore import read_checkpoint
from gan_aug.models.resumable import ResumableModule
from gan_aug.models.weights_file import Damaged, check_weights
from gan_aug.runtime.errors import GanAugError, see, warn
from gan_aug.runtime.files import keep_again
from gan_aug.training.callbacks import Checkpoints

_NEEDED = frozenset(
    ("batches_done", "latest", "metrics_rows", "optimizer_states", "loops", "callbacks", "epoch")
)


@dataclass(frozen=True)
class Start:
    """Where a fit begins: the checkpoint to go on from, its batches, and the rows of metrics.csv.

    Without a checkpoint the fit is new.
    """

    checkpoint: Path | None = None
    done: int = 0
    rows: int = 0


@see("checkpoint")
def find_start(folder: Path, module: ResumableModule, origin: Origin) -> Start:
    """Find the newest sound checkpoint.

    A damaged last.ckpt is set aside as damaged.ckpt, and the one before it is taken. All must fit
    the module and be fitted on `origin`.

    Raises:
        GanAugError: no checkpoint is sound, best.ckpt is not, or they are of other images.
    """
    reasons = []
    last = folder / "last.ckpt"
    for path in (last, folder / "previous.ckpt"):
        if not path.exists():
            continue
        try:
            content = read_checkpoint(path)
            check_weights(module.state_dict(), content["state_dict"], str(path))
            if missing := _NEEDED - content.keys():
                raise Damaged(str(path), f"lacks {min(missing)}")
        except Damaged as error:
            reasons.append(f"{path}: {error.what}")
            continue
        if content["gan_aug"]["origin"] != origin.model_dump():
            raise GanAugError(
                f"{path}: was fitted on other images: the data set or the synthetic set has "
                "changed since; restore the images, or start again in another hydra.run.dir"
            )
        if reasons:
            last.replace(folder / "damaged.ckpt")
            warn(f"{reasons[0]}; going on from {path}")
        if path != last:
            keep_again(path, last)
        if best_score(content) is not None:  # best.ckpt is read only when all the time is spent
            _check_best(folder / "best.ckpt")
        return Start(last, int(content["batches_done"]), int(content["metrics_rows"]))
    if reasons:
        raise GanAugError(f"{reasons[0]}; remove {folder.parent} to start again")
    return Start()


def best_score(content: Mapping[str, Any]) -> float | None:
    """Return the best score that a checkpoint knows of; None where nothing has been chosen."""
    state = content["callbacks"].get(Checkpoints.__qualname__)
    return state.get("best_score") if isinstance(state, dict) else None


def _check_best(path: Path) -> None:
    try:
        read_checkpoint(path)
    except GanAugError as error:
        what = error.what if isinstance(error, Damaged) else "is missing"
        raise GanAugError(f"{path}: {what}; remove {path.parents[1]} to start again") from error
