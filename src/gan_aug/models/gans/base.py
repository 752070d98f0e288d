"""How a generator and a discriminator are trained, whatever they are."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, cast

import torch
from lightning.pytorch import Callback
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from gan_aug.models.gans.sample_grids import SampleGrids
from gan_aug.models.resumable import ResumableModule
from gan_aug.run.errors import Diverged

Batch = dict[str, Tensor]
Losses = dict[str, Tensor]
OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]

COLLAPSED_BELOW = 0.02
"""Spread between generated images, as a share of that between real ones, that counts as none."""
COLLAPSE_PATIENCE = 5
"""Logged steps in a row below it that end a run (a fresh generator starts above it)."""


class GAN(ResumableModule):
    """Two players with an optimizer each, in manual optimization.

    Every batch of real images is one discriminator step; after each `d_steps` of those come
    `g_steps` generator steps. So 5:1 is d_steps=5 g_steps=1, and 1:5 is d_steps=1 g_steps=5.

    A subclass declares `conditioning` and writes `fake`, `discriminator_losses`,
    `generator_losses` and `synthesise`. The base does the ratio, freezing, backward, the EMA
    generator, differentiable augmentation, logging and the checks for a failed training.

    Args:
        generator: makes images in [-1, 1].
        discriminator: images to logits.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes the discriminator's optimizer from its parameters.
        d_steps: discriminator steps in one cycle.
        g_steps: generator steps in one cycle.
        ema_decay: of the generator that samples come from; 0 samples from the trained weights.
        augment: applied to all that the discriminator sees, or None.
        sample_every_n_epochs: how often a grid of samples is written.
    """

    conditioning: ClassVar[Literal["none", "label", "image"]]

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        optimizer_g: OptimizerFactory,
        optimizer_d: OptimizerFactory,
        d_steps: int,
        g_steps: int,
        ema_decay: float,
        augment: nn.Module | None,
        sample_every_n_epochs: int,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        # channels_last is what CPU and GPU convolutions run fastest in; values do not change.
        self.generator = generator.to(memory_format=torch.channels_last)
        self.discriminator = discriminator.to(memory_format=torch.channels_last)
        self.ema_generator = copy.deepcopy(self.generator).requires_grad_(False).eval()
        self._optimizer_g, self._optimizer_d = optimizer_g, optimizer_d
        self.d_steps, self.g_steps = d_steps, g_steps
        self.ema_decay = ema_decay
        self.augment = augment if augment is not None else nn.Identity()
        self.sample_every_n_epochs = sample_every_n_epochs
        self._flat_steps = 0

    @property
    def healthy(self) -> bool:
        """Not while the samples look collapsed: the run may be about to end."""
        return self._flat_steps == 0 and self.finite

    @abstractmethod
    def fake(self, batch: Batch) -> Tensor:
        """Generate as many images as `batch` holds: (B, C, H, W) in [-1, 1], with gradients."""

    @abstractmethod
    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return named scalar terms whose sum the discriminator minimises; fakes are detached."""

    @abstractmethod
    def generator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return named scalar terms whose sum the generator minimises."""

    @abstractmethod
    def synthesise(self, n: int, random: torch.Generator) -> Tensor:
        """Return n images (n, C, H, W) in [-1, 1] from the EMA generator.

        Args:
            n: how many. Calls of 1024 and a last of fewer give what one call would.
            random: on the CPU.
        """

    def configure_optimizers(self) -> tuple[Optimizer, Optimizer]:
        """Return the generator's and the discriminator's optimizer."""
        return (
            self._optimizer_g(self.generator.parameters()),
            self._optimizer_d(self.discriminator.parameters()),
        )

    def configure_callbacks(self) -> list[Callback]:
        """Write sample grids during training."""
        return [SampleGrids(self.sample_every_n_epochs)]

    def diagnostics(self, batch: Batch, fakes: Tensor) -> dict[str, Tensor]:
        """Return scalars for the log, computed only where they are logged.

        Args:
            batch: the batch just trained on, not augmented.
            fakes: the images of the last generator step, made before that step.
        """
        return {}

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Do one discriminator step and, at the end of a cycle, the generator's steps."""
        optimizer_g, optimizer_d = cast(list[LightningOptimizer], self.optimizers())
        cycle_ends = (self.batches_done + 1) % self.d_steps == 0
        with torch.set_grad_enabled(cycle_ends):
            fakes = self.fake(batch)
        real = batch | {"image": self.augment(batch["image"])}
        d_losses = self.discriminator_losses(real, self.augment(fakes.detach()))
        self._step(optimizer_d, d_losses)
        terms = {f"loss/d_{name}": loss for name, loss in d_losses.items()}
        norms = {"d": self.discriminator}
        if cycle_ends:
            for i in range(self.g_steps):
                # The first generator step reuses the images the discriminator has just judged.
                fakes = fakes if i == 0 else self.fake(batch)
                with _frozen(self.discriminator):
                    g_losses = self.generator_losses(batch, self.augment(fakes))
                    self._step(optimizer_g, g_losses)
                self._update_ema()
            terms |= {f"loss/g_{name}": loss for name, loss in g_losses.items()}
            norms |= {"g": self.generator}
        logs = self.logs_this_batch
        self.batches_done += 1
        if logs:
            self._check_health(terms, fakes.detach(), batch["image"])
            self._log_step(terms, norms, self.diagnostics(batch, fakes.detach()), batch)

    def _step(self, optimizer: LightningOptimizer, losses: Losses) -> None:
        optimizer.zero_grad()
        self.manual_backward(torch.stack(list(losses.values())).sum())
        optimizer.step()

    @torch.no_grad()
    def _update_ema(self) -> None:
        # The ramp (as in TensorFlow's ExponentialMovingAverage) forgets the random start sooner.
        decay = min(self.ema_decay, (1 + self.batches_done) / (10 + self.batches_done))
        source = _floats(self.generator)
        torch._foreach_lerp_(_floats(self.ema_generator), source, 1.0 - decay)

    def _check_health(self, terms: Losses, fakes: Tensor, reals: Tensor) -> None:
        """Raise Diverged on a non-finite loss, or when samples have not differed for a while."""
        for name, loss in terms.items():
            if not torch.isfinite(loss):
                raise Diverged(
                    f"training diverged: {name} is {loss.item()} at batch {self.batches_done}; "
                    "the last good checkpoint is kept; lower model.lr_g and model.lr_d"
                )
        if len(fakes) > 1:
            spread = (fakes.std(dim=0).mean() / reals.std(dim=0).mean().clamp_min(1e-6)).item()
            self._flat_steps = self._flat_steps + 1 if spread < COLLAPSED_BELOW else 0
            self.log_now({"stability/spread_of_fakes_to_reals": spread})
        if self._flat_steps >= COLLAPSE_PATIENCE:
            raise Diverged(
                f"the generator collapsed: its images have not differed for {self._flat_steps} "
                f"logged steps (batch {self.batches_done}); the last good checkpoint is kept; "
                "lower model.lr_d, or raise model.g_steps"
            )

    def _log_step(
        self, terms: Losses, norms: dict[str, nn.Module], extra: dict[str, Tensor], batch: Batch
    ) -> None:
        scalars = {name: loss.item() for name, loss in (terms | extra).items()}
        for player in ("d", "g"):
            own = [scalars[name] for name in terms if name.startswith(f"loss/{player}_")]
            if own:
                scalars[f"loss/{player}"] = sum(own)
        for player, network in norms.items():
            gradients = [p.grad for p in network.parameters() if p.grad is not None]
            scalars[f"stability/gradient_norm_{player}"] = nn.utils.get_total_norm(gradients).item()
        scalars["speed/images_per_second"] = self.images_per_second(len(batch["image"]))
        self.log_now(scalars)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the counters."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["flat_steps"] = self._flat_steps

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the counters."""
        super().on_load_checkpoint(checkpoint)
        self._flat_steps = int(checkpoint["flat_steps"])


def without_side_effects(network: nn.Module, inputs: Tensor) -> Tensor:
    """Run a network in training mode but leave its running statistics as they are."""
    state = dict(network.named_parameters()) | {k: b.clone() for k, b in network.named_buffers()}
    with torch.no_grad():
        outputs: Tensor = functional_call(network, state, (inputs,))
    return outputs


def _floats(network: nn.Module) -> list[Tensor]:
    return [t for t in network.state_dict().values() if t.is_floating_point()]


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Spare backward the gradients of weights that are not to be stepped."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
