"""The precision that `trainer.precision=auto` stands for on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from gan_aug.run.errors import GanAugError

if TYPE_CHECKING:
    from gan_aug.settings.commands import FittingSettings
    from gan_aug.settings.models import TrainerSettings

F = TypeVar("F", bound="FittingSettings")
AUTO, FULL, MIXED = "auto", "32-true", "bf16-mixed"
_COMPUTES_IN_BF16 = ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16")
"""Processor capabilities: x86's, then ARM's. With the others bf16 is emulated, slower than fp32."""


def choose_precision(accelerator: str) -> str:
    """Return bf16-mixed where `trainer.accelerator` computes in bf16, 32-true elsewhere."""
    import torch

    if accelerator != "cpu":
        return MIXED if torch.cuda.is_bf16_supported(including_emulation=False) else FULL
    able = torch.cpu.get_capabilities()
    return MIXED if any(able.get(name, False) for name in _COMPUTES_IN_BF16) else FULL


def check_gpu(trainer: TrainerSettings) -> None:
    """Refuse a trainer that asks for a GPU where there is none."""
    if trainer.accelerator != "gpu":
        return
    import torch

    if not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        built = torch.version.cuda or torch.version.hip
        why = "its driver may be missing" if built else "this torch is built for CPUs alone"
        raise GanAugError(f"trainer=gpu: torch finds no GPU here ({why}); choose trainer=cpu")


def settle_precision(settings: F, before: Iterable[Mapping[str, Any]]) -> F:
    """Return settings with what auto stands for.

    Args:
        settings: with `trainer.precision`.
        before: configurations of earlier parts of the run and of other draws of its study. The
            first choice among them is kept, on whatever machine it was made: the weights of a run
            and the draws of a report must be alike. Without one the choice is this machine's.

    Raises:
        GanAugError: there is no GPU where the trainer asks for one.
    """
    trainer = settings.trainer
    check_gpu(trainer)
    if trainer.precision != AUTO:
        return settings
    choices = (config.get("trainer", {}).get("precision", AUTO) for config in before)
    kept = next((choice for choice in choices if choice != AUTO), None)
    precision = kept or choose_precision(trainer.accelerator)
    return settings.changed(type(settings), {"trainer.precision": precision})
