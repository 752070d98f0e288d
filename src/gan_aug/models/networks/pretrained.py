"""Weights that somebody else has fitted: from a library or from a file."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor, nn

from gan_aug.runtime.errors import GanAugError, said

_OF_TENSORS = re.compile(
    r"collections OrderedDict|torch (\w+Storage|Size|device|b?float\d+|u?int\d+|bool)"
    r"|torch\._utils _rebuild_(tensor_v2|parameter)"
)
"""What the pickles of weights name."""


class Rescale(nn.Module):
    """Images in [-1, 1] to the scale of foreign weights: means and deviations in [0, 1].

    Images of one channel get the means of the three.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            known = torch.tensor(values)[:, None, None]
            shown = known if channels == 3 else known.mean(dim=0, keepdim=True)
            self.register_buffer(name, shown, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, C, H, W)."""
        return ((images + 1) / 2 - self.mean) / self.std


def check_source(pretrained: bool, weights: str | None) -> None:
    """Refuse, with a GanAugError, two sources of weights."""
    if pretrained and weights is not None:
        raise GanAugError(
            f"classifier.pretrained=true, classifier.weights={weights}: name one of the two"
        )


def fetched(weights: str, load: Callable[[], Any], instead: str) -> Any:
    """Call a library that may have to download weights.

    Raises:
        GanAugError: it could not; `weights` says of what, `instead` what else to do.
    """
    try:
        return load()
    except GanAugError:
        raise
    except Exception as error:  # URLError, HTTPError, LocalEntryNotFoundError ... by library
        reason = f"{type(error).__name__}: {said(error, 200)}"
        raise GanAugError(
            f"{weights} are not on this machine and could not be fetched ({reason}); fetch them "
            f"where there is a network, or {instead}"
        ) from error


def fetched_classifier(name: str, load: Callable[[], Any]) -> Any:
    """Call a library for a classifier's pretrained weights; see `fetched`."""
    what = f"classifier.pretrained=true: the weights of {name}"
    return fetched(what, load, "name a file with classifier.weights=FILE")


def read_state(path: Path) -> dict[str, Tensor]:
    """Read weights from a file of torch.save or safetensors; a file never runs code.

    Raises:
        GanAugError: no such file, a damaged one, or one that holds something else.
    """
    where = f"classifier.weights={path}"
    if not path.is_file():
        raise GanAugError(f"{where}: no such file; name a .pt, .pth or .safetensors")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            _check_pickles(path)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # both let almost anything escape from a foreign file
        reason = f"{type(error).__name__}: {said(error, 100)}"
        raise GanAugError(
            f"{where}: cannot be read as weights ({reason}); name another file"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content:
        raise GanAugError(f"{where}: holds no weights; name another file")
    if not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise GanAugError(f"{where}: holds other things than weights; name another file")
    return dict(content)


def _check_pickles(path: Path) -> None:
    """Check that a file of torch.save can grow no larger than it is.

    With weights_only no code of it runs, but a few bytes of it may still ask for any memory.
    """
    if not zipfile.is_zipfile(path):  # as torch wrote them before 1.6: five pickles, then numbers
        with path.open("rb") as file:
            for _ in range(5):
                _check_pickle(file)
        return
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            if part.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{part.filename} is compressed")
            if part.filename.endswith(".pkl"):
                with archive.open(part) as file:
                    _check_pickle(file)


def _check_pickle(file: IO[bytes]) -> None:
    for operation, named, _ in pickletools.genops(file):
        if operation.name == "GLOBAL" and _OF_TENSORS.fullmatch(str(named)) is None:
            raise ValueError(f"it holds {named}")
        if operation.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
            raise ValueError("it holds more than weights")


def give(network: nn.Module, state: Mapping[str, Tensor], first: str, last: str, path: str) -> None:
    """Give a network foreign weights, all but those of its last layer.

    Weights of the first convolution for three channels are summed for one, so that a grey image
    gets what it would get with its channel three times. `first` and `last` are names of layers,
    `path` is the weights' file.

    Raises:
        GanAugError: weights of another network.
    """
    where = f"classifier.weights={path}: is of another network"
    own = {n: t for n, t in network.state_dict().items() if not n.startswith(f"{last}.")}
    if missing := sorted(own.keys() - state.keys()):
        raise GanAugError(f"{where} ({missing[0]} is missing); name another")
    kept = {name: state[name] for name in sorted(own)}
    entry = f"{first}.weight"
    if entry in kept and kept[entry].shape[1:2] == (3,) and own[entry].shape[1] == 1:
        kept[entry] = kept[entry].sum(dim=1, keepdim=True)
    for name, tensor in kept.items():
        shape, needed = list(tensor.shape), list(own[name].shape)
        if shape != needed:
            raise GanAugError(f"{where} ({name} is {shape}, not {needed}); name another")
    network.load_state_dict(kept, strict=False)
