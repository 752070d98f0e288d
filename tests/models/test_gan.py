"""The fully connected GAN: its units, its losses, dropout, and that it learns."""

from __future__ import annotations

import pytest
import torch
from gan_training import build, request, settings, train
from torch import nn

from gan_aug.models.gans.gan import PIECES, Discriminator, Maxout


def test_a_maxout_unit_is_the_largest_of_its_pieces() -> None:
    layer, values = Maxout(6, 3), torch.randn(4, 6)
    rows = layer.pieces.weight.detach(), layer.pieces.bias.detach()
    for i, value in enumerate(values):
        for unit in range(3):
            # Piece k of all units comes before piece k + 1.
            pieces = [rows[0][k * 3 + unit] @ value + rows[1][k * 3 + unit] for k in range(PIECES)]
            assert layer(values)[i, unit].item() == pytest.approx(max(pieces).item(), abs=1e-6)


def test_networks_are_fully_connected() -> None:
    gan = build(settings("gan"))
    kinds = {type(module) for module in gan.modules() if list(module.parameters(recurse=False))}
    assert kinds == {nn.Linear}


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (28, 3)])
def test_any_image_size(size: int, channels: int) -> None:
    cfg = settings("gan", size=size, channels=channels)
    gan = build(cfg)
    train(cfg, gan, 2)
    assert gan.synthesise(*request(cfg, "class0", 3)).shape == (3, channels, size, size)


def test_its_loss_is_the_papers() -> None:
    """Section 3: -log D(x) - log(1 - D(G(z))), and -log D(G(z)) for the generator."""
    model = settings("gan").model
    assert (model.loss, model.real_label) == ("non_saturating", 1)


def test_dropout_is_for_training_alone() -> None:
    network, images = Discriminator(8, 1, 4, 0.5), torch.randn(5, 1, 8, 8)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))
    hidden = network.layers[3](network.layers[1](images.flatten(1)))
    torch.testing.assert_close(network(images), network.layers[5](hidden)[:, 0])


def test_the_slope_can_be_penalised() -> None:
    """R1 differentiates a gradient of maxout units."""
    cfg = settings("gan", "model.r1.gamma=1", "model.r1.every=1", "model.augment=null")
    gan = build(cfg)
    train(cfg, gan, 2)
    assert gan.latest["loss/d_r1"] > 0
