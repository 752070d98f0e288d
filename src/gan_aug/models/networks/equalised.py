"""Layers with equalised learning rates (Karras et al. 2018, arXiv:1710.10196, section 4.1).

Weights start from N(0, 1) and are multiplied by He's constant wherever they are used. Steps of
Adam, which are of one size whatever the gradient's, then move every layer by the same share of it.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

HE = math.sqrt(2.0)
"""Gain before a ReLU, which halves the mean square (He et al. 2015, arXiv:1502.01852, eq. 10)."""


class EqualConv2d(nn.Conv2d):
    """A convolution of stride 1 whose weights are scaled where they are used.

    Args:
        before: maps that come in.
        after: maps that go out.
        kernel_size: its side.
        padding: zeros on each side.
        gain: standard deviation of what goes out at the start, for inputs of mean square 1.
    """

    def __init__(
        self, before: int, after: int, kernel_size: int, padding: int = 0, gain: float = HE
    ) -> None:
        super().__init__(before, after, kernel_size, padding=padding)
        self.scale = gain / math.sqrt(before * kernel_size**2)

    def reset_parameters(self) -> None:
        """Draw the weights from N(0, 1)."""
        nn.init.normal_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, before, H, W) to (B, after, H', W')."""
        return F.conv2d(maps, self.weight * self.scale, self.bias, padding=self.padding)


class EqualUpConv2d(EqualConv2d):
    """Images doubled in size, every pixel four times, and an `EqualConv2d` of 3x3: as one step.

    Args:
        before: maps that come in.
        after: maps that go out.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, before, H, W) to (B, after, 2 H, 2 W)."""
        kernel = _of_pairs(self.weight.flip(2, 3) * self.scale).transpose(0, 1)
        return F.conv_transpose2d(maps, kernel, self.bias, stride=2, padding=1)


class EqualDownConv2d(EqualConv2d):
    """An `EqualConv2d` of 3x3 and the means of 2x2 cells: as one step.

    Args:
        before: maps that come in.
        after: maps that go out.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, before, H, W) to (B, after, H / 2, W / 2)."""
        kernel = _of_pairs(self.weight * (self.scale / 4.0))
        return F.conv2d(maps, kernel, self.bias, stride=2, padding=1)


def _of_pairs(kernel: Tensor) -> Tensor:
    """Return the 4x4 kernel that sums a 3x3 one at the four places of a cell of 2x2."""
    padded = F.pad(kernel, (1, 1, 1, 1))
    rows = padded[:, :, 1:] + padded[:, :, :-1]
    return rows[..., 1:] + rows[..., :-1]


class EqualLinear(nn.Linear):
    """A linear layer whose weights are scaled where they are used.

    Args:
        before: numbers that come in.
        after: numbers that go out.
        gain: as of `EqualConv2d`.
    """

    def __init__(self, before: int, after: int, gain: float = HE) -> None:
        super().__init__(before, after)
        self.scale = gain / math.sqrt(before)

    def reset_parameters(self) -> None:
        """Draw the weights from N(0, 1)."""
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (B, before) to (B, after)."""
        return F.linear(inputs, self.weight * self.scale, self.bias)
