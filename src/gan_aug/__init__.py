"""Measure whether GAN-made images make a small medical-image classifier better."""

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from gan_aug import api
from gan_aug.api import Result
from gan_aug.run.errors import GanAugError

if TYPE_CHECKING:
    from gan_aug.api import run

__all__ = ["GanAugError", "Result", "run"]
__version__ = "0.1.0"


class _Called(ModuleType):
    """The package gan_aug.run: it has the name of what users call, and passes the call on."""

    def __call__(self, command: str, arguments: Sequence[str] = ()) -> Result:
        return api.run(command, arguments)

    __call__.__doc__ = api.run.__doc__


sys.modules["gan_aug.run"].__class__ = _Called
