"""What a generator is asked for where it is no GAN of gan_aug: a class of anybody's."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.image_table import Images


@runtime_checkable
class Generator(Protocol):
    """Makes images of a class after it was fitted on real ones; it needs no base class.

    It is built with the arguments that its settings name, and fitted once for each draw of a study.
    `fitted_on: all` gives it the images of all classes at once, `one` builds one for each class.
    """

    def fit(self, images: Images, labels: NDArray[np.int64], seed: int) -> None:
        """Learn from the training images of a draw, which are its own copies.

        Args:
            images: uint8 (N, C, H, W), 0 to 255; C is 1 or 3.
            labels: int64 (N,), places in the data set's list of classes; all the same where the
                generator is fitted on one class.
            seed: below 2^32. Python's, NumPy's and torch's own random numbers start from it too.
        """

    def sample(self, label: int, count: int, seed: int) -> Images:
        """Return uint8 (count, C, H, W), images of a class that it was fitted on.

        It is asked for `AT_ONCE` images at a time, each time with another seed.
        """


@runtime_checkable
class Resumable(Generator, Protocol):
    """A generator that goes on where it was stopped."""

    def keep_in(self, folder: Path) -> None:
        """Take note of a folder to write to; called before `fit`.

        What lies there was written by an earlier attempt with the same settings, images and seed.
        So `fit` goes on from it, and returns at once if it had finished.
        """


AT_ONCE = 50
"""Images that are asked for at a time: so a seed gives the same first images for any number."""
