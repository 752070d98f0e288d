"""The classifier's LightningModule, and what is asked of a fitted one outside its training."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.utilities.seed import isolate_rng
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

from gan_aug.data.batches import in_order
from gan_aug.data.classes import Classes
from gan_aug.metrics.classification import (
    choose_threshold,
    decisions,
    measure,
    metric_names,
    to_probabilities,
)
from gan_aug.models.learners.base import Learner
from gan_aug.models.networks.base import ImageClassifier
from gan_aug.models.resumable import ResumableModule
from gan_aug.runtime.errors import GanAugError, said
from gan_aug.runtime.hardware import lacks_memory

_ROUNDING = 1e-5
"""Of a sum of probabilities in single precision."""


class Classifier(ResumableModule):
    """Cross-entropy training; validation decides when to stop, the checkpoint and the threshold.

    The network maps images (B, C, H, W) in [-1, 1] to logits (B, K) of the classes, in the order of
    their labels. A `cosine` schedule of the learning rate ends at 0 with the last step (Loshchilov
    & Hutter 2017, arXiv:1608.03983, equation 5, without restarts); `constant` is the other.
    `patience` are epochs without a lower validation loss before training stops.

    Attributes:
        learner: what it learns from unlabelled images with, while it trains; None: labels alone.
    """

    monitor = "val/loss"

    def __init__(
        self,
        network: ImageClassifier,
        classes: list[str],
        positive: str | None,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        schedule: str,
        patience: int | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.classes = Classes(tuple(classes), positive)
        self._optimizer, self._schedule = optimizer, schedule
        self.patience = patience
        self.learner: Learner | None = None
        self._outputs: list[tuple[Tensor, Tensor]] = []

    @torch.no_grad()
    def try_on(self, images: Tensor) -> None:
        """Ask the network about a few images (B, C, H, W) in [-1, 1], before it is trained.

        A network of somebody's may return what trains and is measured, but is no logits. It is
        asked on the CPU, wherever it trains: there every fitted classifier is measured. Weights and
        random streams stay as they are.

        Raises:
            GanAugError: it does not take them, or returns something else.
        """
        try:
            network, k = copy.deepcopy(self.network).eval(), len(self.classes)
        except Exception:  # of torch.nn.utils.weight_norm, say: it can be trained all the same
            return
        where = f"{type(network).__module__}.{type(network).__qualname__}"
        try:
            with isolate_rng(include_cuda=False):
                alone, together = (network(some) for some in (images[:1], images))
        except Exception as error:
            if lacks_memory(error):  # no fault of the network's
                raise
            raise GanAugError(
                f"{where}: forward cannot take images {tuple(images.shape)} on the CPU, where it "
                f"is measured ({said(error, 200) or type(error).__name__}); mend it, or choose "
                "another data.image_size"
            ) from error
        for given, made in ((1, alone), (len(images), together)):
            shape = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            if shape != (given, k):
                raise GanAugError(
                    f"{where}: forward returned {shape} for a batch of {given}, not {(given, k)}; "
                    "return a logit for each class"
                )
        # Logits do so of one image now and then, but not of all.
        if (together >= 0).all() and (together.sum(dim=1) - 1).abs().max() < _ROUNDING:
            raise GanAugError(
                f"{where}: forward returned probabilities, whose sum is 1; return logits, without "
                "a softmax"
            )

    def make_optimizer(self) -> Optimizer:
        """Return an optimizer of the network's weights."""
        return self._optimizer(self.network.parameters())

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimizer, and what changes its learning rate at every step."""
        optimizer = self.make_optimizer()
        if self._schedule == "constant":
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        cosine = CosineAnnealingLR(optimizer, T_max=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cosine, "interval": "step"}}

    def configure_callbacks(self) -> list[Callback]:
        """Stop early on the validation loss, with `patience`."""
        if self.patience is None:
            return []
        return [EarlyStopping(self.monitor, patience=self.patience, check_finite=True)]

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the mean cross-entropy of a batch of `image` and `label`.

        In a study it also has `target` (B, K), the probabilities to learn, and `weight` (B,) of
        each image in the mean. With a `learner` it has `unlabelled` (U, C, H, W) too, and the loss
        of these is added.
        """
        learned = None
        if self.learner is None:
            logits = self.network(batch["image"])
        else:
            learned = self.learner(self.network, batch["image"], batch["unlabelled"])
            logits = learned.logits
        if "weight" in batch:
            losses = F.cross_entropy(logits, batch["target"], reduction="none")
            loss = (losses * batch["weight"]).sum() / batch["weight"].sum()
        else:
            loss = F.cross_entropy(logits, batch["label"])
        if learned is not None:
            loss = loss + learned.loss
        self.batches_done += 1
        if self.logs_this_batch:
            right = (logits.argmax(dim=1) == batch["label"]).float().mean()
            speed = {"speed/images_per_second": self.images_per_second(len(batch["label"]))}
            self.log_now({"train/loss": loss.item(), "train/accuracy": right.item()} | speed)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Tell the network that its weights have changed."""
        self.network.after_step()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Collect logits and labels, in full precision also where training is in less."""
        with torch.autocast(self.device.type, enabled=False):
            logits = self.network(batch["image"].float())
        self._outputs.append((logits.cpu(), batch["label"].cpu()))

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics; the loss decides which weights are the best."""
        logits, labels = (torch.cat(column) for column in zip(*self._outputs, strict=True))
        self._outputs = []
        loss = F.cross_entropy(logits, labels)
        probabilities = to_probabilities(logits)
        threshold = choose_threshold(probabilities, labels, self.classes)
        measured = measure(probabilities, labels, self.classes, threshold)
        usual = measured[decisions(self.classes)[0]]
        shown = {f"val/{name}": usual[name] for name in metric_names(self.classes)}
        self.log(self.monitor, loss, logger=False)
        self.score = loss.item()
        self.log_now({self.monitor: loss.item()} | shown)


@torch.no_grad()
def logits(module: Classifier, batches: Iterable[Tensor]) -> Tensor:
    """Return logits (N, K) for batches of images (B, C, H, W) in [-1, 1]."""
    return torch.cat([module.network(images) for images in batches])


def probabilities(module: Classifier, images: NDArray[np.uint8]) -> Tensor:
    """Return float64 probabilities (N, K) for uint8 images (N, C, H, W)."""
    return to_probabilities(logits(module, in_order(images)))


def weights_hash(module: nn.Module) -> str:
    """Return the SHA-256 of a module's weights and buffers."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
