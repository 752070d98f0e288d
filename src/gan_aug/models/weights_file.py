"""Weights that may come from anyone: safetensors, checked before memory is spent on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import open_regular, replace_file

MOST_BYTES = 2 * 2**30
MOST_HEADER = 4 * 2**20
"""Bytes of its part that names the tensors; some 40 000 of them."""
_KINDS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "I64": torch.int64}
"""What weights and buffers are of; safetensors knows more."""

Shapes = Mapping[str, tuple[torch.dtype, list[int]]]
"""Name of a tensor to its type and shape."""


class Damaged(GanAugError):
    """A file of weights that cannot be used: `where` it is, and `what` is wrong with it."""

    def __init__(self, where: str, what: str, path: Path | None = None) -> None:
        remedy = "name another one, or train again"
        if path is not None:
            previous = path.with_name("previous.ckpt")
            if path != previous and previous.is_file():
                remedy = f"use the one before it, {previous}"
        super().__init__(f"{where}: {what}; {remedy}")
        self.what = what


def check_fits(own: Mapping[str, Tensor], saved: Shapes, where: str) -> None:
    """Raise Damaged unless saved weights have a module's types and shapes; it may be on `meta`."""
    for name in [*own, *saved]:
        difference = None
        if name not in saved:
            difference = "is missing"
        elif name not in own:
            difference = "is no weight of it"
        elif (shape := list(own[name].shape)) != saved[name][1]:
            difference = f"is {saved[name][1]}, not {shape}"
        elif own[name].dtype != saved[name][0]:
            difference = f"is of {saved[name][0]}, not of {own[name].dtype}"
        if difference is not None:
            what = "its weights are of other networks than its configuration says"
            raise Damaged(where, f"{what} ({name} {difference})")


def check_weights(own: Mapping[str, Tensor], saved: Mapping[str, Tensor], where: str) -> None:
    """Raise Damaged unless weights are a module's, see `check_fits`, and all of them finite."""
    check_fits(own, {name: (t.dtype, list(t.shape)) for name, t in saved.items()}, where)
    for name, tensor in saved.items():
        if not bool(torch.isfinite(tensor).all()):
            raise Damaged(where, f"{name} holds weights that are not finite")


def write_weights(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
    """Write weights and notes in one step; `path` ends in .safetensors."""
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    replace_file(path, lambda temporary: save_file(plain, temporary, dict(notes)))


def read_shapes(path: Path, where: str) -> Shapes:
    """Read what a file says of its weights, none of which is read.

    Raises:
        Damaged: it is no file of weights, or has more bytes than it may, or than its tensors need.
    """
    try:
        with open_regular(path, MOST_BYTES) as file:
            header = int.from_bytes(file.read(8), "little")
        if header > MOST_HEADER:
            raise ValueError(f"its header has {header} bytes, at most {MOST_HEADER}")
        with safe_open(path, framework="pt") as weights:
            parts = {name: weights.get_slice(name) for name in weights.keys()}  # noqa: SIM118
            said = {name: (part.get_dtype(), part.get_shape()) for name, part in parts.items()}
    except Exception as error:  # safetensors raises a kind of its own, right below Exception
        reason = getattr(error, "strerror", None) or error
        raise Damaged(where, f"is damaged or not a file of weights ({reason})", path) from error
    for name, (kind, _) in said.items():
        if kind not in _KINDS:
            raise Damaged(where, f"{name} is of {kind}; weights are {', '.join(_KINDS)}", path)
    return {name: (_KINDS[kind], list(shape)) for name, (kind, shape) in said.items()}


def read_weights(
    path: Path, where: str, own: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read weights and their notes, once they are known to be of the shapes of a module's `own`.

    Raises:
        Damaged: no such file, weights of another module, or not finite.
    """
    check_fits(own, read_shapes(path, where), where)
    with safe_open(path, framework="pt") as weights:
        tensors = {name: weights.get_tensor(name) for name in own}
        notes = dict(weights.metadata() or {})
    check_weights(own, tensors, where)
    return tensors, notes
