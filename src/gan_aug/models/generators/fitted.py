"""A generator of anybody's in use: what it is given is a copy, what it returns is checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name

import lightning.pytorch as pl
import numpy as np
import torch

from gan_aug.data.image_table import Images, ImageTable
from gan_aug.models.generators.base import AT_ONCE, Generator, Resumable
from gan_aug.runtime.errors import GanAugError, said
from gan_aug.runtime.progress import update
from gan_aug.runtime.seeds import stream_seed
from gan_aug.settings.models import GeneratorSettings

_MOST = 1000
"""Letters of what an error of somebody else's code says."""


@contextmanager
def _as_it_was() -> Iterator[None]:
    """Undo what somebody else's code sets for the whole process: the arms' fits come after it."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    try:
        with torch.enable_grad():  # leaves the mode as it was, whatever is set inside
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)


def build(settings: GeneratorSettings) -> Generator:
    """Build a generator; raise GanAugError where that fails, or it is none."""
    where = f"model._target_={settings.module.class_path}"
    try:
        resolve_name(settings.module.class_path)
    except Exception as error:  # of a file of somebody's, almost anything
        reason = said(error, _MOST)
        raise GanAugError(
            f"{where}: cannot be imported ({reason}); name a class that Python finds: in this "
            "folder (python -m gan_aug.study), in an installed package or on PYTHONPATH"
        ) from error
    made = settings.module.build(where)
    for method in ("fit", "sample"):
        if not callable(getattr(made, method, None)):
            raise GanAugError(
                f"{where}: has no method {method}; a generator has fit(images, labels, seed) and "
                "sample(label, count, seed)"
            )
    generator: Generator = made
    return generator


class FittedGenerator:
    """A generator that was fitted on `train`, the training images of a draw.

    An error that it raises, and what it returns that are no images of the draw's size, become a
    GanAugError of one line that names its class and the draw.
    """

    def __init__(
        self, settings: GeneratorSettings, train: ImageTable, draw: int, seed: int, folder: Path
    ) -> None:
        """Build and fit it.

        Args:
            settings: what to build.
            train: images and labels.
            draw: for messages.
            seed: of the fit.
            folder: which a generator that can go on may write to.
        """
        self._where = f"model={settings.name} ({settings.called}), draw {draw}"
        self._shape = train.images.shape[1:]
        self._generator = build(settings)
        if isinstance(self._generator, Resumable):
            folder.mkdir(parents=True, exist_ok=True)
            with self._called("keep_in"):
                self._generator.keep_in(folder)
        with self._called("fit", seed):
            self._generator.fit(np.array(train.images), np.array(train.labels), seed)

    def sample(self, label: int, start: int, count: int, seed: int) -> Images:
        """Return images of a class, (count, C, H, W): those from number `start` on.

        Whole blocks of `AT_ONCE` are asked for, so that they do not depend on `count`.
        """
        first, last = start // AT_ONCE, -(-(start + count) // AT_ONCE)
        blocks = [np.zeros((0, *self._shape), np.uint8)]
        for block in range(first, last):
            blocks.append(self._block(label, stream_seed(seed, label, block)))
            update(block + 1 - first, last - first)
        return np.concatenate(blocks)[start - first * AT_ONCE :][:count]

    def _block(self, label: int, seed: int) -> Images:
        with self._called("sample", seed):
            made = np.asarray(self._generator.sample(label, AT_ONCE, seed)).copy()
        wanted = (AT_ONCE, *self._shape)
        if made.dtype.kind == "f" and not np.isfinite(made).all():
            raise GanAugError(
                f"{self._where}: sample returned numbers that are not finite; the fit came to "
                "nothing, look at its losses"
            )
        if made.dtype != np.uint8 or made.shape != wanted:
            raise GanAugError(
                f"{self._where}: sample returned {made.dtype} {made.shape}, not uint8 {wanted}; "
                "return images of 0 to 255, as many as count says"
            )
        return made

    @contextmanager
    def _called(self, method: str, seed: int | None = None) -> Iterator[None]:
        if seed is not None:  # of random numbers that it does not draw from a generator of its own
            pl.seed_everything(seed, verbose=False)
        try:
            with _as_it_was():
                yield
        except GanAugError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {said(error, _MOST)}".rstrip(": ")
            raise GanAugError(
                f"{self._where}: {method} raised {reason}; mend the class "
                "(HYDRA_FULL_ERROR=1 shows where)"
            ) from error
