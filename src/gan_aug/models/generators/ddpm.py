"""A small diffusion model on the networks and schedulers of the package diffusers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gan_aug.data.batches import to_float, to_uint8
from gan_aug.runtime.errors import Diverged, GanAugError, require, said, warn
from gan_aug.runtime.files import replace_file
from gan_aug.runtime.progress import update
from gan_aug.runtime.seeds import stream_seed

CHECKPOINT = "ddpm.pt"


class DDPM:
    """Denoising diffusion (Ho et al. 2020, arXiv:2006.11239) with a U-Net of diffusers.

    The network predicts v (Salimans & Ho 2022, arXiv:2202.00512, section 4) on a cosine schedule
    (Nichol & Dhariwal 2021, arXiv:2102.09672, equation 17) that ends without signal (Lin et al.
    2023, arXiv:2305.08891, algorithm 1). It sees each square of `patch` x `patch` pixels as one
    place with more channels (Luhman & Luhman 2022, arXiv:2207.04316): with 2 a step costs
    about a quarter. Images are sampled by DDIM (Song et al. 2020, arXiv:2010.02502, equation 12,
    eta 0). Of several classes one network is fitted, which is told the class.

    Args:
        widths: feature maps at each resolution, each half as large as the one before.
        patch: pixels along each side that are one place of the network.
        layers: residual blocks at each resolution.
        steps: optimizer steps.
        batch_size: images of a step.
        lr: learning rate of Adam, after a linear warm-up and until a cosine decay to 0.
        ema_decay: of the weights that images are sampled with.
        sampling_steps: evaluations of the network for an image.
        precision: `bf16-mixed` or `32-true`.
        accelerator: `gpu`, or the CPU.
        every_n_seconds: how often the state is kept, to go on from.
    """

    def __init__(
        self,
        widths: Sequence[int],
        patch: int,
        layers: int,
        steps: int,
        batch_size: int,
        lr: float,
        ema_decay: float,
        sampling_steps: int,
        precision: str,
        accelerator: str,
        every_n_seconds: float = 60,
    ) -> None:
        require("diffusers", "diffusion")
        import diffusers

        self._library: Any = diffusers  # it has no types
        self._widths, self._patch, self._layers = list(widths), patch, layers
        self._steps, self._batch_size, self._lr = steps, batch_size, lr
        self._ema_decay, self._sampling_steps = ema_decay, sampling_steps
        self._device = torch.device("cuda" if accelerator == "gpu" else "cpu")
        self._bf16 = precision == "bf16-mixed"
        self._every = every_n_seconds
        self._folder: Path | None = None
        self._schedule = self._library.DDIMScheduler(
            beta_schedule="squaredcos_cap_v2",
            prediction_type="v_prediction",
            rescale_betas_zero_snr=True,
            timestep_spacing="trailing",
        )

    def keep_in(self, folder: Path) -> None:
        """Keep the state of training in a folder, and go on from one that lies there."""
        self._folder = folder

    def fit(self, images: NDArray[np.uint8], labels: NDArray[np.int64], seed: int) -> None:
        """Fit the network on images (N, C, H, W) of the classes `labels` (N,).

        Step k is a function of the seed and of k, so a fit that was stopped goes on bit for bit.

        Raises:
            Diverged: the loss is not finite.
            GanAugError: the resolutions do not divide images of this size.
        """
        if images.shape[-1] % (unit := self._patch * 2 ** (len(self._widths) - 1)):
            raise GanAugError(
                f"data.image_size={images.shape[-1]}: model.patch={self._patch} with "
                f"{len(self._widths)} model.widths takes multiples of {unit}; choose one, or fewer "
                "widths"
            )
        torch.manual_seed(seed)
        self._shape = images.shape[1:]
        several = len(np.unique(labels)) > 1
        network = self._network(int(labels.max()) + 1 if several else None)
        average = get_ema_multi_avg_fn(self._ema_decay)  # type: ignore[no-untyped-call]
        averaged = AveragedModel(network, multi_avg_fn=average)
        optimizer = torch.optim.Adam(network.parameters(), lr=self._lr)
        self._averaged, self._several = averaged.eval(), several
        done = self._restore(network, averaged, optimizer)
        pixels, classes = torch.from_numpy(images), torch.from_numpy(labels)
        kept_at = time.monotonic()
        for step in range(done, self._steps):
            random = torch.Generator().manual_seed(stream_seed(seed, step))
            rows = torch.randint(len(pixels), (self._batch_size,), generator=random)
            batch = F.pixel_unshuffle(to_float(pixels[rows]), self._patch)
            noise = torch.randn(batch.shape, generator=random).to(self._device)
            batch = batch.to(self._device)
            most = self._schedule.config.num_train_timesteps
            times = torch.randint(most, (len(rows),), generator=random).to(self._device)
            noised = self._schedule.add_noise(batch, noise, times)
            target = self._schedule.get_velocity(batch, noise, times)
            for group in optimizer.param_groups:
                group["lr"] = self._lr * self._rate(step)
            predicted = self._predict(network, noised, times, classes[rows])
            loss = (predicted - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            averaged.update_parameters(network)
            last = step + 1 == self._steps
            if last or time.monotonic() - kept_at > self._every:
                if not bool(torch.isfinite(loss)):
                    raise Diverged("DDPM: training diverged, its loss is not finite; lower lr")
                self._keep(step + 1, network, averaged, optimizer)
                kept_at = time.monotonic()
                update(step + 1, self._steps)

    @torch.no_grad()
    def sample(self, label: int, count: int, seed: int) -> NDArray[np.uint8]:
        """Return images (count, C, H, W) of a class; `fit` comes first."""
        channels, height, width = self._shape
        shape = (channels * self._patch**2, height // self._patch, width // self._patch)
        random = torch.Generator().manual_seed(seed)
        images = torch.randn((count, *shape), generator=random).to(self._device)
        labels = torch.full((count,), label)
        self._schedule.set_timesteps(self._sampling_steps)
        for time_step in self._schedule.timesteps:
            times = torch.full((count,), int(time_step), device=self._device)
            predicted = self._predict(self._averaged.module, images, times, labels)
            images = self._schedule.step(predicted, time_step, images).prev_sample
        return to_uint8(F.pixel_shuffle(images, self._patch).float().cpu()).numpy()

    def _network(self, classes: int | None) -> Any:
        n, channels = len(self._widths), self._shape[0] * self._patch**2
        return self._library.UNet2DModel(
            sample_size=self._shape[-1] // self._patch,
            in_channels=channels,
            out_channels=channels,
            layers_per_block=self._layers,
            block_out_channels=self._widths,
            down_block_types=["DownBlock2D"] * n,
            up_block_types=["UpBlock2D"] * n,
            norm_num_groups=8,
            num_class_embeds=classes,
            attention_head_dim=self._widths[-1] // 2,
        ).to(self._device, memory_format=torch.channels_last)

    def _predict(
        self, network: Any, images: torch.Tensor, times: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        told = labels.to(self._device) if self._several else None
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            predicted: torch.Tensor = network(images, times, class_labels=told).sample
        return predicted.float()

    def _rate(self, step: int) -> float:
        """Return the share of the learning rate: up over 2 % of the steps, then a cosine down."""
        warm = max(1, self._steps // 50)
        if step < warm:
            return (step + 1) / warm
        return float(0.5 * (1 + np.cos(np.pi * (step - warm) / max(1, self._steps - warm))))

    def _keep(self, done: int, *parts: Any) -> None:
        if self._folder is not None:
            state = {"done": done, "parts": [part.state_dict() for part in parts]}
            replace_file(self._folder / CHECKPOINT, partial(torch.save, state))

    def _restore(self, *parts: Any) -> int:
        if self._folder is None or not (self._folder / CHECKPOINT).is_file():
            return 0
        file = self._folder / CHECKPOINT
        try:
            kept = torch.load(file, map_location=self._device, weights_only=True)
        except Exception as error:  # torch raises almost anything for a damaged file
            warn(f"{file}: cannot be read ({said(error)}); fitting from the start")
            return 0
        for part, state in zip(parts, kept["parts"], strict=True):
            part.load_state_dict(state)
        return int(kept["done"])
