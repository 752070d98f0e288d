"""What instance norm costs, as ratios measured in one run; see README.md, Normalization.

OMP_NUM_THREADS=1 python experiments/speed/normalization.py
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.gans import cyclegan
from gan_aug.models.networks.blocks import EPSILON, InstanceNorm

IMAGES, SIZE, WIDTH, BLOCKS = 8, 64, 24, 3


class Affine(nn.Module):
    """Weights of a norm that is written out below."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))


class VarMean(Affine):
    """torch.var_mean, and one multiply-add in float32."""

    def forward(self, maps: Tensor) -> Tensor:
        variance, mean = torch.var_mean(maps, dim=(2, 3), correction=0, keepdim=True)
        scale = self.weight[:, None, None] * torch.rsqrt(variance + EPSILON)
        return torch.addcmul(self.bias[:, None, None] - mean * scale, maps, scale)


class FlatVarMean(Affine):
    """torch.var_mean over a view (B, H * W, C) of channels_last memory."""

    def forward(self, maps: Tensor) -> Tensor:
        flat = maps.permute(0, 2, 3, 1).flatten(1, 2)
        variance, mean = torch.var_mean(flat, dim=1, correction=0, keepdim=True)
        scale = self.weight * torch.rsqrt(variance + EPSILON)
        made = torch.addcmul(self.bias - mean * scale, flat, scale)
        return made.unflatten(1, maps.shape[2:]).permute(0, 3, 1, 2)


class TwoMeans(Affine):
    """Means of x and of x * x in float32, and a multiply-add in the maps' precision."""

    def forward(self, maps: Tensor) -> Tensor:
        wide = maps.float()
        mean = wide.mean(dim=(2, 3), keepdim=True)
        variance = wide.square().mean(dim=(2, 3), keepdim=True) - mean.square()
        scale = self.weight[:, None, None] * torch.rsqrt(variance + EPSILON)
        shift = self.bias[:, None, None] - mean * scale
        return torch.addcmul(shift.to(maps.dtype), maps, scale.to(maps.dtype))


class _Written(torch.autograd.Function):
    """Moments in float32, elementwise work in the maps' precision, backward written out."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        mean = _mean(maps)
        rate = torch.rsqrt(_mean(maps.square()) - mean.square() + EPSILON)
        scale = weight[:, None, None] * rate
        ctx.save_for_backward(maps, scale, mean, rate)
        shift = bias[:, None, None] - mean * scale
        return torch.addcmul(shift.to(maps.dtype), maps, scale.to(maps.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps, scale, mean, rate = ctx.saved_tensors
        dtype, pixels = maps.dtype, maps.shape[2] * maps.shape[3]
        along_one = _mean(gradient)
        along_maps = (_mean(gradient * maps) - along_one * mean) * rate
        slope = -scale * along_maps * rate
        level = (-slope * mean - scale * along_one).to(dtype)
        found = torch.addcmul(level, gradient, scale.to(dtype)).addcmul_(maps, slope.to(dtype))
        return found, pixels * along_maps.sum((0, 2, 3)), pixels * along_one.sum((0, 2, 3))


def _mean(maps: Tensor) -> Tensor:
    pixels = maps.shape[2] * maps.shape[3]
    return maps.sum(dim=(2, 3), keepdim=True, dtype=torch.float32) / pixels


class WrittenBackward(Affine):
    """As few passes as there can be; as written, it cannot be differentiated twice."""

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = _Written.apply(maps, self.weight, self.bias)
        return found


class GroupOfEach(Affine):
    """The native group norm, with a group for each map."""

    def forward(self, maps: Tensor) -> Tensor:
        return F.group_norm(maps, maps.shape[1], self.weight, self.bias, EPSILON)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "nn.InstanceNorm2d(affine=True)": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "nn.GroupNorm(8 groups)": lambda channels: nn.GroupNorm(8, channels),
    "nn.BatchNorm2d": nn.BatchNorm2d,
    "instance norm: group norm of each map": GroupOfEach,
    "instance norm: var_mean, multiply-add": VarMean,
    "instance norm: var_mean of a flat view": FlatVarMean,
    "instance norm: means of x and x * x": TwoMeans,
    "instance norm: means, backward written out": WrittenBackward,
    "gan_aug's InstanceNorm: batch norm of each image": InstanceNorm,
}


def generator(norm: Callable[[int], nn.Module]) -> nn.Module:
    """A CycleGAN generator with another norm in place of every instance norm."""
    torch.manual_seed(0)
    network = cyclegan.Generator(1, WIDTH, BLOCKS)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, InstanceNorm):
                setattr(parent, name, norm(len(child.weight)))
    return network.to(memory_format=torch.channels_last)


def step(network: nn.Module, images: Tensor, mixed: bool) -> float:
    """CPU seconds of forward and backward: other processes count for less than in wall time."""
    network.zero_grad()
    start = time.process_time()
    with torch.autocast("cpu", torch.bfloat16) if mixed else nullcontext():
        loss = network(images).abs().mean()
    loss.backward()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    torch.manual_seed(0)
    images = torch.rand(IMAGES, 1, SIZE, SIZE).mul(2).sub(1)
    images = images.to(memory_format=torch.channels_last).requires_grad_(True)
    networks = {name: generator(norm) for name, norm in NORMS.items()}
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{IMAGES} images of {SIZE}x{SIZE}, width {WIDTH}, {BLOCKS} blocks, {rounds} rounds\n")
    medians: dict[str, list[float]] = {name: [] for name in networks}
    for mixed in (True, False):
        seconds: dict[str, list[float]] = {name: [] for name in networks}
        for i in range(rounds + 2):
            for name, network in networks.items():
                taken = step(network, images, mixed)
                if i >= 2:  # the first ones plan and allocate
                    seconds[name].append(taken)
        for name, found in seconds.items():
            medians[name].append(statistics.median(found))
    usual = medians["nn.InstanceNorm2d(affine=True)"]
    print("| norm | bf16, ms | times as fast as nn's | float32, ms | times as fast as nn's |")
    print("| --- | --- | --- | --- | --- |")
    for name, (mixed_s, full_s) in medians.items():
        print(
            f"| {name} | {mixed_s * 1e3:.1f} | {usual[0] / mixed_s:.2f} | "
            f"{full_s * 1e3:.1f} | {usual[1] / full_s:.2f} |"
        )


if __name__ == "__main__":
    main()
