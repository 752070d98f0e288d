"""What a classifier learns from unlabelled images with: losses, steps and what they refuse."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gan_aug.models.augment import ClassicAugment
from gan_aug.models.classifier import weights_hash
from gan_aug.models.foreign import Foreign
from gan_aug.models.learners.base import together
from gan_aug.models.learners.fixmatch import FixMatch, consistency
from gan_aug.models.learners.sgan import SemiSupervisedGAN, evidence
from gan_aug.models.losses import adversarial_loss
from gan_aug.models.networks.cnn4 import PooledCNN
from gan_aug.models.networks.resnet import ResNet18
from gan_aug.runtime.errors import GanAugError

KEY = "arms.sgan.learner"


def sgan(
    augment: nn.Module | None = None, image_size: int = 32, **other: float
) -> SemiSupervisedGAN:
    numbers = {"feature_weight": 10.0, "adversarial_weight": 0.3} | other
    return SemiSupervisedGAN(4, augment, 4, 8, 1e-3, [0.5, 0.999], image_size=image_size,
                             channels=1, **numbers)  # fmt: skip


def network(dropout: float = 0.0) -> PooledCNN:
    return PooledCNN(channels=1, classes=3, width=4, dropout=dropout, ema_decay=0.5)


def test_the_discriminator_is_z_over_z_plus_1() -> None:
    """Salimans et al. 2016, section 5: D(x) = Z / (Z + 1), Z the sum of exp(logits)."""
    torch.manual_seed(0)
    logits = 3 * torch.randn(50, 4, dtype=torch.float64)
    z = logits.exp().sum(dim=1)
    d = z / (z + 1)
    torch.testing.assert_close(torch.sigmoid(evidence(logits)).double(), d, rtol=1e-5, atol=1e-7)
    loss = adversarial_loss("non_saturating", 1)
    naive = -d.log().mean(), -(1 - d).log().mean()
    found = loss.real(evidence(logits)), loss.fake(evidence(logits))
    for value, expected in zip(found, naive, strict=True):
        assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    huge = torch.full((1, 4), 200.0)  # where Z itself overflows
    assert loss.fake(evidence(huge)).item() == pytest.approx(200 + math.log(4))


def test_fixmatch_asks_for_the_class_that_is_sure() -> None:
    """Sohn et al. 2020, equation 4, on two images: one is sure, the other is not."""
    weak = torch.tensor([[4.0, 0.0], [0.2, 0.0]], requires_grad=True)
    strong = torch.tensor([[0.0, 1.0], [3.0, 0.0]], requires_grad=True)
    loss = consistency(weak, strong, threshold=0.95)
    assert loss.item() == pytest.approx(math.log(1 + math.e) / 2)  # over both images
    loss.backward()
    assert weak.grad is None
    assert strong.grad is not None
    assert strong.grad[0].abs().sum() > 0
    assert strong.grad[1].abs().sum() == 0
    assert consistency(weak, strong, threshold=1.0).item() == 0


def test_a_step_of_sgan_trains_each_by_its_own_loss() -> None:
    torch.manual_seed(0)
    learner, classifier = sgan(), network().train()
    generator, before = learner.generator, weights_hash(learner.generator)
    images, unlabelled = torch.rand(6, 1, 32, 32), torch.rand(4, 1, 32, 32)
    learned = learner(classifier, images, unlabelled)
    after = weights_hash(generator)
    assert after != before
    assert all(weight.grad is None for weight in classifier.parameters())
    torch.testing.assert_close(learned.logits, classifier(images))
    generator.zero_grad()
    learned.loss.backward()
    assert all(weight.grad is None for weight in generator.parameters())
    assert weights_hash(generator) == after
    assert sum(float(w.grad.abs().sum()) for w in classifier.layers.parameters()) > 0


def test_a_generator_matches_the_features_of_real_images() -> None:
    """With no other aim it comes nearer to the mean features of images that it never made."""
    torch.manual_seed(0)
    learner, classifier = sgan(adversarial_weight=0.0), network().train().requires_grad_(False)
    unlabelled = torch.rand(4, 1, 32, 32) * 0.2 + 0.8

    def distance() -> float:
        torch.manual_seed(1)
        made = learner.generator(torch.randn(64, 8))
        means = [classifier.features(images).mean(dim=0) for images in (made, unlabelled)]
        return float((means[0] - means[1]).square().mean().detach())

    before = distance()
    for _ in range(30):
        learner(classifier, unlabelled[:1], unlabelled)
    assert distance() < 0.5 * before


def test_what_sgan_cannot_learn_with_is_one_line() -> None:
    other = Foreign(torch.nn.Identity(), KEY)
    sgan().check(network(), KEY)
    sgan(ClassicAugment(0.5, 10, 0.1, [0.9, 1.1], 0.2, 0.2)).check(network(), KEY)
    with pytest.raises(GanAugError, match=f"{KEY}: the classifier has batch norm.*choose another"):
        sgan().check(ResNet18(1, 2, pretrained=False, weights=None), KEY)
    with pytest.raises(GanAugError, match=rf"{KEY}.augment: is another library.*classic_sgan"):
        sgan(other).check(network(), KEY)
    with pytest.raises(GanAugError, match="data.image_size=48: this GAN takes powers of two"):
        sgan(image_size=48)
    FixMatch(4, other, other, 0.9, 1, 48, 1).check(network(), KEY)


def test_averaged_weights_are_those_in_use_outside_of_training() -> None:
    classifier, images = network(dropout=0.5), torch.rand(2, 1, 32, 32)
    start = classifier.eval()(images)
    with torch.no_grad():
        for weight in classifier.layers.parameters():
            weight.add_(1)
    torch.testing.assert_close(classifier(images), start)
    for name, weight in classifier.layers.named_parameters():
        mean = dict(classifier.averaged.named_parameters())[name]
        torch.testing.assert_close(mean, weight - 1)
    classifier.after_step()  # half of the way, with a decay of 0.5
    for name, weight in classifier.layers.named_parameters():
        mean = dict(classifier.averaged.named_parameters())[name]
        torch.testing.assert_close(mean, weight - 0.5)
        assert not mean.requires_grad
    torch.testing.assert_close(
        classifier(images), classifier.averaged[-1](classifier.features(images))
    )


def test_images_are_joined_in_their_order_with_channels_last() -> None:
    parts = [torch.rand(n, 1, 8, 8) for n in (2, 3)]
    joined = together(parts)
    assert torch.equal(joined, torch.cat(parts))
    assert joined.stride()[1] == 1
