"""SGAN: the classifier is the discriminator of a GAN that is trained beside it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_aug.models.foreign import Foreign
from gan_aug.models.gans.dcgan import Generator
from gan_aug.models.learners.base import Learned, Learner, together
from gan_aug.models.losses import adversarial_loss
from gan_aug.models.networks.base import ImageClassifier
from gan_aug.runtime.errors import GanAugError


class SemiSupervisedGAN(Learner):
    """A classifier that tells real images from generated ones with the logits of its K classes.

    After Salimans et al. 2016 (arXiv:1606.03498, sections 3.1 and 5), and Odena 2016
    (arXiv:1606.01583): unlabelled images are real, whatever their class, and so their logits rise;
    those of generated images fall. The generator, DCGAN's, does not see the classes. At each step
    of the classifier it takes one of its own: it matches the mean features of real images
    (`feature_weight` times the mean square of the differences; section 3.1), and passes for real
    (`adversarial_weight` times -log D). Its images serve the classifier's loss and are not kept.

    The generator's step sees images as they were changed at random for the classifier's step.

    Raises:
        GanAugError: the generator makes no images of this size.
    """

    def __init__(
        self,
        batch_size: int,
        augment: nn.Module | None,
        width: int,
        latent_dim: int,
        lr: float,
        betas: Sequence[float],
        feature_weight: float,
        adversarial_weight: float,
        image_size: int,
        channels: int,
    ) -> None:
        super().__init__(batch_size, augment)
        self.generator = Generator(image_size, channels, latent_dim, width)
        self.feature_weight, self.adversarial_weight = feature_weight, adversarial_weight
        first, second = betas
        self._optimizer = torch.optim.Adam(self.generator.parameters(), lr, (first, second))
        self._loss = adversarial_loss("non_saturating", real_label=1)

    def check(self, network: ImageClassifier, key: str) -> None:
        """Refuse what generated images or a generator's gradients do not go with."""
        if any(isinstance(layer, _BatchNorm) for layer in network.modules()):
            raise GanAugError(
                f"{key}: the classifier has batch norm, whose statistics generated images would "
                "change; choose another for all arms, as model@classifier=cnn4"
            )
        if isinstance(self.augment, Foreign):
            raise GanAugError(
                f"{key}.augment: is another library's, which may let no gradient through to the "
                f"generator; set it to null, or take the arm classic_sgan"
            )

    def forward(self, network: ImageClassifier, images: Tensor, unlabelled: Tensor) -> Learned:
        """Return the labelled images' logits, and the loss of real and of generated ones.

        The generator takes its step too.
        """
        n = len(images)
        latents = torch.randn(len(unlabelled), self.generator.latent_dim, device=unlabelled.device)
        real, made = self.augment(unlabelled), self.augment(self.generator(latents))
        logits = network(together([images, real, made.detach()]))
        of_real, of_made = evidence(logits[n:]).chunk(2)
        self._improve(network, real, together([made]))
        return Learned(logits[:n], self._loss.real(of_real) + self._loss.fake(of_made))

    def _improve(self, network: ImageClassifier, real: Tensor, made: Tensor) -> None:
        """Take a step of the generator; the network gets no gradient of it."""
        with torch.no_grad():
            wanted = network.features(together([real])).mean(dim=0)
        loss = self.feature_weight * (network.features(made).mean(dim=0) - wanted).square().mean()
        if self.adversarial_weight:
            passing = self._loss.generator(evidence(network(made)))
            loss = loss + self.adversarial_weight * passing
        weights = list(self.generator.parameters())
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = gradient
        self._optimizer.step()


def evidence(logits: Tensor) -> Tensor:
    """Return log Z (B,), Z the sum of exp(logits) (B, K): the logit of being real.

    D(x) = Z / (Z + 1) = sigmoid(log Z) (Salimans et al. 2016, section 5).
    """
    return torch.logsumexp(logits.float(), dim=1)
