"""Packages that only some commands and settings need: the extras of pyproject.toml."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from gan_aug.run.errors import GanAugError

EXTRA_OF = {
    "polars": "study",
    "captum": "explain",
    "kagglehub": "kaggle",
    "medmnist": "medmnist",
    "pydicom": "dicom",
    "submitit": "slurm",
    "optuna": "search",
    "timm": "timm",
    "torch_fidelity": "extractors",
    "torchxrayvision": "extractors",
}
"""Each module that may be missing, and the extra that brings it."""


def require(module: str, asked: str) -> None:
    """Check that a module, a key of `EXTRA_OF`, is installed, before time is spent on its need.

    `asked` is the setting or command that needs it, as it was typed.

    Raises:
        GanAugError: it is not installed.
    """
    if (sys.modules[module] if module in sys.modules else find_spec(module)) is None:
        raise GanAugError(
            f"{asked}: needs the package {module}, which is not installed; "
            f"pip install 'gan_aug[{EXTRA_OF[module]}]'"
        )
