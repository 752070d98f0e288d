"""Measure whether GAN-made images make a small medical-image classifier better."""

from gan_aug.api import Result, run
from gan_aug.runtime.errors import GanAugError

__all__ = ["GanAugError", "Result", "run"]
__version__ = "0.1.0"
