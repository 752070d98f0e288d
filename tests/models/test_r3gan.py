"""R3GAN: relativistic loss, penalties on both kinds of images, blocks without normalisation."""

from __future__ import annotations

import pytest
import torch
from gan_training import Times, build, settings, some
from hydra.errors import InstantiationException
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.gans.r3gan import R3GAN, Block, Discriminator, Generator
from gan_aug.runtime.errors import GanAugError

GAMMA = 0.7


def make(*overrides: str) -> R3GAN:
    gan = build(settings("r3gan", "model.augment=null", f"model.gamma={GAMMA}", *overrides))
    assert isinstance(gan, R3GAN)
    return gan


def stir(network: nn.Module) -> None:
    """Move weights away from the zeros that they begin with."""
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.1 * torch.randn_like(weight)


class Quadratic(nn.Module):
    """D(x) = w.x + a/2 x.x, whose gradient is w + a x."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.w = nn.Parameter(torch.randn(1, 32, 32))
        self.a = nn.Parameter(torch.tensor(0.3))

    def forward(self, images: Tensor) -> Tensor:
        return (self.w * images + self.a / 2 * images.square()).sum(dim=(1, 2, 3))


def test_both_players_losses_by_hand() -> None:
    gan, (batch, fakes) = make(), some()
    stir(gan.discriminator)
    pairs = zip(batch["image"], fakes, strict=True)
    differences = torch.cat([gan.discriminator(x[None]) - gan.discriminator(y[None])
                             for x, y in pairs])  # fmt: skip
    for_d = torch.log(1 + torch.exp(-differences)).mean()
    for_g = torch.log(1 + torch.exp(differences)).mean()
    found_d = gan.discriminator_losses(batch, fakes)
    found_g = gan.generator_losses(batch, fakes)
    assert set(found_d) == {"adversarial", "r1", "r2"}
    torch.testing.assert_close(found_d["adversarial"], for_d, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found_g, {"adversarial": for_g}, rtol=1e-4, atol=1e-5)
    # The pairs are those of the places in the batch.
    assert not torch.isclose(for_d, gan.discriminator_losses(batch, fakes.flip(0))["adversarial"])


def test_penalties_and_their_gradients_by_hand() -> None:
    gan, (batch, fakes) = make(), some()
    gan.discriminator = known = Quadratic()
    found = gan.discriminator_losses(batch, fakes)
    for name, images in (("r1", batch["image"]), ("r2", fakes)):
        slope = known.w.detach() + 0.3 * images
        expected = GAMMA / 2 * slope.square().sum(dim=(1, 2, 3)).mean()
        torch.testing.assert_close(found[name], expected)
        to_w, to_a = torch.autograd.grad(found[name], [known.w, known.a], retain_graph=True)
        torch.testing.assert_close(to_w, GAMMA * slope.mean(dim=0))
        by_hand = GAMMA * (slope * images).sum(dim=(1, 2, 3)).mean()
        torch.testing.assert_close(to_a, by_hand, rtol=1e-4, atol=1e-4)


def test_the_penalties_are_of_the_images_before_augmentation() -> None:
    gan, (batch, fakes) = make(), some()
    gan.discriminator, gan.augment = Quadratic(), Times(2)
    slope = gan.discriminator.w.detach() + 0.3 * 2 * batch["image"]
    expected = GAMMA / 2 * (2 * slope).square().sum(dim=(1, 2, 3)).mean()
    torch.testing.assert_close(gan.discriminator_losses(batch, fakes)["r1"], expected)


def test_images_are_bounded_only_where_they_are_used() -> None:
    """In training, what lies outside [-1, 1] keeps its gradient."""
    generator = make().generator
    stir(generator)
    latents = 20 * torch.randn(4, 64)
    free = generator.train()(latents)
    assert free.abs().max() > 1
    torch.testing.assert_close(generator.eval()(latents), free.clamp(-1, 1))


@pytest.mark.parametrize("blocks", [1, 2])
def test_every_residual_branch_begins_at_zero(blocks: int) -> None:
    gan = make(f"model.blocks={blocks}")
    for network in (gan.generator, gan.discriminator):
        found = [module for module in network.modules() if isinstance(module, Block)]
        assert len(found) == 4 * blocks  # 4x4 to 32x32
        for block in found:
            maps = torch.randn(2, block.layers[0].in_channels, 8, 8)  # type: ignore[arg-type]
            assert not block.layers(maps).any()
            assert torch.equal(block(maps), maps)


def test_the_other_weights_begin_smaller_with_more_blocks() -> None:
    """Fixup: a branch of 3 layers in a network of L blocks has weights times L^(-1/4)."""
    torch.manual_seed(0)
    block = Block(64, 4, 16)
    gain = (2 / (1 + 0.2**2)) ** 0.5 * 16**-0.25
    assert block.layers[0].weight.std().item() == pytest.approx(gain / 256**0.5, rel=0.02)
    assert block.layers[2].weight.shape == (512, 16, 3, 3)  # groups of 16
    assert block.layers[2].weight.std().item() == pytest.approx(gain / (16 * 9) ** 0.5, rel=0.02)
    assert not block.layers[0].bias.any()
    assert block.layers[4].bias is None


def test_no_image_depends_on_another_and_nothing_is_normalised() -> None:
    gan, (batch, _) = make(), some()
    stir(gan)
    assert not list(gan.buffers())
    logits = gan.discriminator(batch["image"])
    torch.testing.assert_close(logits[2:3], gan.discriminator(batch["image"][2:3]))


def test_resampling_is_bilinear() -> None:
    maps = torch.randn(2, 3, 8, 8)
    (down,) = {type(m): m for m in Discriminator(32, 1, 4, 1).modules()
               if isinstance(m, nn.AvgPool2d)}.values()  # fmt: skip
    half = F.interpolate(maps, scale_factor=0.5, mode="bilinear", align_corners=False)
    torch.testing.assert_close(down(maps), half)
    ups = [m for m in Generator(32, 1, 8, 4, 1).modules() if isinstance(m, nn.Upsample)]
    assert {up.mode for up in ups} == {"bilinear"}


def test_the_level_of_the_logits_takes_nothing_from_their_differences() -> None:
    """Their common level may drift; in bfloat16, 1000 and 1001 would be one number."""
    gan, (batch, _) = make(), some()
    discriminator = gan.discriminator
    assert isinstance(discriminator, Discriminator)
    with torch.autocast("cpu", torch.bfloat16):
        logits = discriminator(batch["image"])
    assert logits.dtype == torch.float32
    assert (logits.to(torch.bfloat16).float() != logits).any()


def test_d_of_a_pair() -> None:
    gan, (batch, _) = make(), some()
    stir(gan.discriminator)
    fakes = gan.fake(batch).detach()
    stir(gan.generator)
    now = gan.generator(gan._latents)
    found = gan.diagnostics(batch, fakes)

    def wins(images: Tensor) -> Tensor:
        difference = gan.discriminator(images) - gan.discriminator(batch["image"])
        return (1 / (1 + torch.exp(-difference))).mean()

    torch.testing.assert_close(found["score/D(G(z)) before g step"], wins(fakes))
    torch.testing.assert_close(found["score/D(G(z)) after g step"], wins(now))
    torch.testing.assert_close(found["score/D(x)"], 1 - wins(fakes))


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [("model.r1.gamma", "1", "0"), ("model.spectral_norm", "true", "false")],
)
def test_what_does_not_go_together_is_refused(key: str, value: str, remedy: str) -> None:
    with pytest.raises(InstantiationException, match=rf"{key}={value}.*set {key}={remedy}"):
        make(f"{key}={value}")


def test_maps_that_cannot_be_cut_into_groups_are_refused() -> None:
    with pytest.raises(GanAugError, match=r"model\.width=12: r3gan .*multiple of 8"):
        Discriminator(32, 1, 12, 1)
