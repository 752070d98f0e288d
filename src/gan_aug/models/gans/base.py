"""How a generator and a discriminator are trained, whatever they are."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar, cast

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as with_spectral_norm
from torch.optim import Optimizer

from gan_aug.models.adaptive_augment import AdaptiveAugment
from gan_aug.models.losses import AdversarialLoss, squared_gradient
from gan_aug.models.resumable import ResumableModule
from gan_aug.runtime.errors import Diverged

Batch = dict[str, Tensor]
Losses = dict[str, Tensor]
OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]

COLLAPSED_BELOW = 0.02
"""Spread between generated images, as a share of that between real ones, that counts as none."""
COLLAPSE_PATIENCE = 5
"""Logged steps in a row below it that end a run (a fresh generator starts above it)."""
AT_ONCE = 64
"""Images synthesised at once; fixed, so that a seed gives the same images for any count."""


class GAN(ResumableModule):
    """Two players with an optimizer each, in manual optimization.

    A player may be several networks: its module then holds them all. Every batch of real images is
    one discriminator step; after each `d_steps` of those come `g_steps` generator steps. So 5:1 is
    d_steps=5 g_steps=1, and 1:5 is d_steps=1 g_steps=5.

    A batch holds `image` (B, C, H, W) in [-1, 1] and `label` (B,), int64. Where the class is
    `FITTED_ON` two, its first half is of one class and its second half, as large, of the other;
    they are there as `source` and `target` too.

    A subclass writes `fake`, `logits`, `critic` and `synthesise`, and has a `loss` or losses of its
    own. The base does the ratio, freezing, backward, learning rates, the EMA generator,
    differentiable augmentation, R1, logging and the checks for a failed training. What else a
    subclass has to remember is a buffer, or a function of `batches_done` or `share_done`: then it
    is resumed.

    `gan_aug.settings.models.GanSettings` says what the numbers mean. Of some there is more to say:

    - spectral_norm: of all weights of the discriminator (Miyato et al. 2018, arXiv:1802.05957).
    - r1_gamma: weight of R1 (Mescheder et al. 2018, arXiv:1801.04406, eq. 9).
    - r1_every: the next R1 weighs as many times as much (Karras et al. 2020, arXiv:1912.04958,
      appendix B). With batch norm an image's gradient reaches the others of its batch: best with
      spectral norm instead.
    """

    # Read from the source too, before torch is loaded: gan_aug.settings.class_facts.
    FITTED_ON: ClassVar[str] = "one"
    """Classes that it is fitted on at once: `one`, `two` or `all`."""
    TRANSLATES: ClassVar[bool] = False
    """Whether it makes images of a class from images of the others."""
    MIN_SIZE: ClassVar[int] = 32
    POWER_OF_TWO: ClassVar[bool] = True
    """Sides of images that it takes: from `MIN_SIZE`, all of them or powers of two."""
    ONLY_TRAINED_WITH: ClassVar[tuple[str, ...]] = ("generator.", "augment.")
    """Beginnings of the names of weights that neither images nor a look at the networks need."""
    KEPT = (*ResumableModule.KEPT, "flat_steps")
    loss: AdversarialLoss

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        optimizer_g: OptimizerFactory,
        optimizer_d: OptimizerFactory,
        d_steps: int,
        g_steps: int,
        decay_from: float,
        ema_decay: float,
        augment: nn.Module | None,
        spectral_norm: bool,
        r1_gamma: float,
        r1_every: int,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        if spectral_norm:
            for module in list(discriminator.modules()):
                if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
                    with_spectral_norm(module)
        # channels_last is what CPU and GPU convolutions run fastest in; values do not change.
        self.generator = generator.to(memory_format=torch.channels_last)
        self.discriminator = discriminator.to(memory_format=torch.channels_last)
        self.ema_generator = copy.deepcopy(self.generator).requires_grad_(False).eval()
        self._optimizer_g, self._optimizer_d = optimizer_g, optimizer_d
        self.d_steps, self.g_steps = d_steps, g_steps
        self.decay_from, self.ema_decay = decay_from, ema_decay
        self.augment = augment if augment is not None else nn.Identity()
        self.r1_gamma, self.r1_every = r1_gamma, r1_every
        self.flat_steps = 0

    @property
    def healthy(self) -> bool:
        """Not while the samples look collapsed: the run may be about to end."""
        return self.flat_steps == 0 and self.finite

    @property
    def share_done(self) -> float:
        """The share of the training that is done: from 0 to below 1 while it goes on."""
        return self.batches_done / total_batches(self.trainer)

    @abstractmethod
    def fake(self, batch: Batch) -> Tensor:
        """Generate (B, C, H, W) in [-1, 1], with gradients; of each place's class in `batch`."""

    @abstractmethod
    def logits(self, images: Tensor, batch: Batch) -> Tensor:
        """Return what the discriminator makes of images, as of the batch's classes or conditions.

        Of real or generated images (B, C, H, W) that is (B,) or, of a discriminator of parts of
        images, (B, ...): large means real.
        """

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return named scalar terms whose sum the discriminator minimises: `real` and `fake`.

        Neither the batch's images nor the detached fakes are augmented: see `seen_logits`.
        """
        # Two passes, so that batch norm sees real and generated images apart, as is usual.
        real_logits, fake_logits = self.real_logits(batch), self.seen_logits(fakes, batch)
        return {"real": self.loss.real(real_logits), "fake": self.loss.fake(fake_logits)}

    def generator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return named scalar terms whose sum the generator minimises: `adversarial`."""
        return {"adversarial": self.loss.generator(self.seen_logits(fakes, batch))}

    @abstractmethod
    def synthesise(
        self, label: int, count: int, random: torch.Generator, sources: Tensor | None
    ) -> Tensor:
        """Return images (count, C, H, W) in [-1, 1] of a class, of the EMA generator in evaluation.

        Latents are drawn from `random`, on the CPU. `sources` (count, C, H, W) in [-1, 1] are
        translated, in their order; None: the images are made from nothing. The result is on the
        CPU. Calls of 1024 and a last of fewer, with the same `random`, give what one call would.
        """

    def lasting_state(self) -> dict[str, Tensor]:
        """Return the weights that images are made with, and the discriminator's."""
        return {
            name: tensor
            for name, tensor in self.state_dict().items()
            if not name.startswith(self.ONLY_TRAINED_WITH)
        }

    @abstractmethod
    def critic(self, label: int) -> nn.Module:
        """Return the discriminator of one class: images (N, C, H, W) to logits (N,)."""

    def decoder(self, label: int) -> nn.Module | None:
        """Return what makes images of a class from latents alone: (N, latent_dim) to images.

        None: the images are not made from latents alone.
        """
        return None

    def seen_logits(self, images: Tensor, batch: Batch) -> Tensor:
        """Return the logits of augmented images."""
        return self.logits(self.augment(images), batch)

    def real_logits(self, batch: Batch) -> Tensor:
        """Return the logits of the batch's images, augmented; adapts the augmentation to them."""
        logits = self.seen_logits(batch["image"], batch)
        self.adapt(logits)
        return logits

    def adapt(self, real_logits: Tensor) -> None:
        """Adapt the augmentation to the logits (B, ...) of augmented real images."""
        if isinstance(self.augment, AdaptiveAugment):
            self.augment.observe(real_logits.detach())

    def configure_optimizers(self) -> tuple[Optimizer, Optimizer]:
        """Return the generator's and the discriminator's optimizer."""
        return (
            self._optimizer_g(self.generator.parameters()),
            self._optimizer_d(self.discriminator.parameters()),
        )

    def diagnostics(self, batch: Batch, fakes: Tensor) -> dict[str, Tensor]:
        """Return scalars for the log, computed only where they are logged.

        `fakes` are the images of the last generator step, made before that step.
        """
        return {}

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Do one discriminator step and, at the end of a cycle, the generator's steps."""
        optimizer_g, optimizer_d = cast(list[LightningOptimizer], self.optimizers())
        cycle_ends = (self.batches_done + 1) % self.d_steps == 0
        with torch.set_grad_enabled(cycle_ends):
            fakes = self.fake(batch)
        self._set_rates(optimizer_g, optimizer_d)
        d_losses = self.discriminator_losses(batch, fakes.detach())
        if self.r1_gamma and self.batches_done % self.r1_every == 0:
            d_losses = d_losses | {"r1": self._r1(batch)}
        self._step(optimizer_d, d_losses)
        terms = {f"loss/d_{name}": loss for name, loss in d_losses.items()}
        norms = {"d": self.discriminator}
        if cycle_ends:
            for i in range(self.g_steps):
                # The first generator step reuses the images of the discriminator's step.
                fakes = fakes if i == 0 else self.fake(batch)
                with self.toggled_optimizer(optimizer_g):
                    g_losses = self.generator_losses(batch, fakes)
                    self._step(optimizer_g, g_losses)
                self._update_ema()
            terms |= {f"loss/g_{name}": loss for name, loss in g_losses.items()}
            norms |= {"g": self.generator}
        self.batches_done += 1
        if self.logs_this_batch:
            self._check_health(terms, fakes.detach(), batch["image"])
            # A network with dropout draws random numbers there, which training must not miss.
            with torch.random.fork_rng([self.device] if self.on_gpu else []):
                extra = self.diagnostics(batch, fakes.detach())
            self._log_step(terms, norms, extra, batch)

    def _step(self, optimizer: LightningOptimizer, losses: Losses) -> None:
        optimizer.zero_grad()
        self.manual_backward(torch.stack(list(losses.values())).sum())
        optimizer.step()

    def _set_rates(self, *optimizers: LightningOptimizer) -> None:
        if self.decay_from == 1:
            return
        factor = min(1.0, (1 - self.share_done) / (1 - self.decay_from))
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = factor * optimizer.optimizer.defaults["lr"]

    def _r1(self, batch: Batch) -> Tensor:
        images = batch["image"].detach().requires_grad_(True)
        penalty = squared_gradient(self.seen_logits(images, batch), images).mean()
        return self.r1_gamma / 2 * self.r1_every * penalty

    @torch.no_grad()
    def _update_ema(self) -> None:
        # The ramp (as in TensorFlow's ExponentialMovingAverage) forgets the random start sooner.
        decay = min(self.ema_decay, (1 + self.batches_done) / (10 + self.batches_done))
        averaged, trained = (
            [t for t in network.state_dict().values() if t.is_floating_point()]
            for network in (self.ema_generator, self.generator)
        )
        torch._foreach_lerp_(averaged, trained, 1.0 - decay)

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
            self.flat_steps = self.flat_steps + 1 if spread < COLLAPSED_BELOW else 0
            self.log_now({"stability/spread_of_fakes_to_reals": spread})
        if self.flat_steps >= COLLAPSE_PATIENCE:
            raise Diverged(
                f"the generator collapsed: its images have not differed for {self.flat_steps} "
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


def total_batches(trainer: Trainer) -> int:
    """Return how many batches a whole training has."""
    return int(trainer.num_training_batches) * int(trainer.max_epochs or 0)
