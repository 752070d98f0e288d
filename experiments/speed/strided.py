"""The 4x4 convolutions of stride 2 of a DCGAN's discriminator, computed in three ways.

    OMP_NUM_THREADS=1 python experiments/speed/strided.py

See README.md, Strided convolutions. Forward and backward, channels_last, CPU time, in turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

BATCH = 64
LAYERS = ((1, 32, 64), (32, 64, 32), (64, 128, 16), (128, 256, 8))
"""Maps before and after, side before: at width 32."""
WARM_UP = 2

Convolution = Callable[[Tensor, Tensor], Tensor]


def strided(images: Tensor, kernel: Tensor) -> Tensor:
    return F.conv2d(images, kernel, stride=2, padding=1)


def _cells(images: Tensor) -> Tensor:
    """Return padded cells of 2x2 as maps: (B, H / 2 + 1, W / 2 + 1, 4 C), row, column, map."""
    padded = F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    b, height, width, maps = padded.shape
    cells = padded.reshape(b, height // 2, 2, width // 2, 2, maps).permute(0, 1, 3, 2, 4, 5)
    return cells.reshape(b, height // 2, width // 2, 4 * maps)


def cells_and_convolution(images: Tensor, kernel: Tensor) -> Tensor:
    after, before = kernel.shape[:2]
    of_cells = kernel.reshape(after, before, 2, 2, 2, 2).permute(0, 3, 5, 1, 2, 4)
    return F.conv2d(_cells(images).permute(0, 3, 1, 2), of_cells.reshape(after, -1, 2, 2))


def cells_and_product(images: Tensor, kernel: Tensor) -> Tensor:
    after, before = kernel.shape[:2]
    cells = _cells(images)
    windows = torch.cat(
        [cells[:, :-1, :-1], cells[:, :-1, 1:], cells[:, 1:, :-1], cells[:, 1:, 1:]], dim=3
    )
    matrix = kernel.permute(2, 3, 1, 0).reshape(2, 2, 2, 2, before, after)
    matrix = matrix.permute(0, 2, 1, 3, 4, 5).reshape(16 * before, after).to(windows.dtype)
    return (windows.flatten(0, 2) @ matrix).unflatten(0, windows.shape[:3]).permute(0, 3, 1, 2)


WAYS: dict[str, Convolution] = {
    "strided": strided,
    "2x2 cells, 2x2 convolution": cells_and_convolution,
    "2x2 cells, matrix product": cells_and_product,
}


def milliseconds(way: Convolution, images: Tensor, kernel: Tensor, bf16: bool) -> float:
    images.grad = kernel.grad = None
    started = time.process_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        made = way(images.to(torch.bfloat16) if bf16 else images, kernel)
    made.backward(torch.ones_like(made))
    return 1000 * (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| maps, side | precision | " + " | ".join(f"{way}, ms" for way in WAYS) + " |")
    print("| --- " * (len(WAYS) + 2) + "|")
    for before, after, side in LAYERS:
        images = torch.randn(BATCH, before, side, side).to(memory_format=torch.channels_last)
        kernel = torch.randn(after, before, 4, 4).to(memory_format=torch.channels_last)
        images.requires_grad_(), kernel.requires_grad_()
        expected = strided(images, kernel)
        for way in WAYS.values():
            torch.testing.assert_close(way(images, kernel), expected, rtol=1e-3, atol=1e-3)
        for bf16 in (True, False):
            times: dict[str, list[float]] = {name: [] for name in WAYS}
            for _ in range(WARM_UP + rounds):
                for name, way in WAYS.items():
                    times[name].append(milliseconds(way, images, kernel, bf16))
            medians = [statistics.median(t[WARM_UP:]) for t in times.values()]
            shown = " | ".join(f"{t:.1f} ({medians[0] / t:.2f})" for t in medians)
            print(f"| {before} to {after}, {side} | {'bf16' if bf16 else 'float32'} | {shown} |")


if __name__ == "__main__":
    main()
