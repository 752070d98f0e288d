"""Discriminators of every kind can be explained: what a cell sees, filters, maps and the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from gan_aug.interpret.command import render
from gan_aug.interpret.copies import Versions, explainable, with_random_weights
from gan_aug.interpret.filters import filter_sheets
from gan_aug.interpret.layers import Field, chosen_layers, conv_layers, receptive_fields
from gan_aug.interpret.maps import METHODS, map_sheets, methods_for
from gan_aug.models.gans.dcgan import Discriminator
from gan_aug.models.networks.blocks import InstanceNorm
from gan_aug.pages.figure import figure_png
from gan_aug.runtime.errors import GanAugError

SIDE, CHANNELS = 32, 3


def random_images(n: int, side: int = SIDE) -> Tensor:
    random = torch.Generator().manual_seed(n)
    return torch.rand(n, CHANNELS, side, side, generator=random) * 2 - 1


class FullyConnected(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(CHANNELS * SIDE**2, 8),
            nn.LayerNorm(8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(8, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).flatten()


class Block(nn.Module):
    """Two 3x3 convolutions, the second one grouped, then half the size; a shortcut of 1x1."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = spectral_norm(nn.Conv2d(before, after, 3, padding=1))
        self.second = spectral_norm(nn.Conv2d(after, after, 3, padding=1, groups=2))
        self.short = spectral_norm(nn.Conv2d(before, after, 1, bias=False))
        self.activation = nn.LeakyReLU(0.2)
        self.gain = nn.Parameter(torch.tensor(0.3))

    def forward(self, x: Tensor) -> Tensor:
        change = self.second(self.activation(self.first(self.activation(x))))
        whole = self.gain * change + self.short(x)
        return F.interpolate(whole, scale_factor=0.5, mode="bilinear", align_corners=False)


class Residual(nn.Module):
    """Blocks, and a sum over places that is projected on nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Block(CHANNELS, 4), Block(4, 6))
        self.last = nn.Linear(6, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.blocks(images).relu().sum(dim=(2, 3))).flatten()


class Patches(nn.Module):
    """A PatchGAN (Isola et al. 2017) of 70 pixels: the mean over its patches."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = [CHANNELS, 4, 6, 8, 10]
        for i, stride in enumerate((2, 2, 2, 1)):
            norm = [[], [InstanceNorm(6)], [nn.InstanceNorm2d(8)], [nn.GroupNorm(1, 10)]][i]
            layers += [nn.Conv2d(widths[i], widths[i + 1], 4, stride, 1), *norm, nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(10, 1, 4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).mean(dim=(1, 2, 3))


class Projection(nn.Module):
    """A discriminator of images and labels, for one label (Miyato & Koyama 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleDict(
            {"body": nn.Conv2d(CHANNELS, 8, 3, 2, 1), "label": nn.Embedding(2, 8)}
        )

    def forward(self, images: Tensor) -> Tensor:
        found = self.inner["body"](images).relu().sum(dim=(2, 3))
        return found @ self.inner["label"].weight[1]


class Growing(nn.Module):
    """Networks for several sizes (Karras et al. 2018); a buffer says which is in use.

    Images of any size are reduced to it.
    """

    stage: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("stage", torch.tensor(0))
        self.from_rgb = nn.ModuleList(nn.Conv2d(CHANNELS, 4, 1) for _ in range(2))
        self.blocks = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.LazyLinear(1)

    def forward(self, images: Tensor) -> Tensor:
        stage = int(self.stage)
        x = F.avg_pool2d(images, images.shape[-1] // (16 * 2**stage))
        x = self.from_rgb[stage](x)
        for block in reversed(self.blocks[: stage + 1]):
            x = F.avg_pool2d(F.leaky_relu(block(x), 0.2), 2)
        return self.last(self.norm(x).mean(dim=(2, 3))).flatten()


class TwoHeads(nn.Module):
    """A logit beside the classes (Odena et al. 2017), with a skip branch from the first maps."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(CHANNELS, 4, 4, 2, 1)
        self.second = nn.Conv2d(4, 8, 4, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.branch = nn.Conv2d(4, 8, 4, 4)
        self.patches = nn.Conv2d(8, 1, 1)
        self.classes = nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        first = self.first(images).relu()
        maps = self.norm(self.second(first)).relu()
        maps = F.avg_pool2d(maps, 2) + self.branch(first)
        self.classes(maps.mean(dim=(2, 3)))
        return self.patches(maps).mean(dim=(1, 2, 3))


class Attentive(nn.Module):
    """What comes after self-attention sees everything (Zhang et al. 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Conv2d(CHANNELS, 4, 4, 4)
        self.query, self.key = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.gain = nn.Parameter(torch.zeros(()))
        self.after = nn.Conv2d(4, 6, 3, padding=1)
        self.shared = nn.Conv2d(6, 6, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.before(images)
        weights = (self.query(x).flatten(2).transpose(1, 2) @ self.key(x).flatten(2)).softmax(2)
        x = x + self.gain * (x.flatten(2) @ weights.transpose(1, 2)).view_as(x)
        return self.shared(self.shared(self.after(x))).mean(dim=(1, 2, 3))


class Encoder(nn.Module):
    """What comes after a fully connected layer is made for one size of image, and sees it all."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(CHANNELS, 2, 4, 4)
        self.middle = nn.Linear(2 * 64, 2 * 64)
        self.up = nn.Sequential(nn.Unflatten(1, (2, 8, 8)), nn.Conv2d(2, 4, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        return self.up(self.middle(self.down(images).flatten(1))).mean(dim=(1, 2, 3))


def made(kind: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    network = kind()
    network(random_images(2))  # fills in lazy layers
    return explainable(network)


def geometry(network: nn.Module) -> dict[str, tuple[int, int, int]]:
    layers = conv_layers(network, random_images(1))
    assert [layer.number for layer in layers] == list(range(len(layers)))
    return {layer.path: (layer.size, layer.stride, layer.offset) for layer in layers}


def closed_form(layers: nn.Sequential) -> dict[str, Field]:
    """Return what the cells of a chain's convolutions see, by the textbook."""
    fields = {}
    size, stride, offset = 1, 1, 0
    for at, module in enumerate(layers):
        if isinstance(module, nn.Conv2d):
            size += (module.kernel_size[0] - 1) * stride
            offset -= int(module.padding[0]) * stride
            stride *= module.stride[0]
            fields[f"layers.{at}"] = Field(size, stride, offset)
    return fields


@pytest.mark.parametrize(("side", "sizes"), [(32, [4, 10, 22, 46]), (64, [4, 10, 22, 46, 94])])
@pytest.mark.parametrize("normalised", [False, True])
def test_of_a_chain_what_is_measured_is_the_closed_form(
    side: int, sizes: list[int], normalised: bool
) -> None:
    network = Discriminator(side, CHANNELS, 2, spectral_norm=normalised)
    if normalised:
        for module in network.layers:
            if isinstance(module, nn.Conv2d):
                spectral_norm(module)
    expected = closed_form(network.layers)
    found = receptive_fields(explainable(network), list(expected), random_images(1, side))
    assert found == expected
    assert [field.size for field in found.values()] == sizes


def test_what_is_found_in_each_kind() -> None:
    assert geometry(made(FullyConnected)) == {}
    assert geometry(made(Residual)) == {
        "blocks.0.first": (3, 1, -1),
        "blocks.0.second": (5, 1, -2),
        "blocks.0.short": (1, 1, 0),
        "blocks.1.first": (10, 2, -4),
        "blocks.1.second": (14, 2, -6),
        "blocks.1.short": (6, 2, -2),
    }
    assert geometry(made(Patches)) == {
        "layers.0": (4, 2, -1),
        "layers.2": (10, 4, -3),
        "layers.5": (22, 8, -7),
        "layers.8": (46, 8, -15),
    }
    assert geometry(made(Projection)) == {"inner.body": (3, 2, -1)}
    assert geometry(made(TwoHeads)) == {
        "first": (4, 2, -1),
        "norm": (10, 4, -3),  # read after the batch norm that follows
        "branch": (10, 8, -1),
    }
    assert geometry(made(Attentive)) == {
        "before": (4, 4, 0),
        "query": (4, 4, 0),
        "key": (4, 4, 0),
        "after": (SIDE, 0, 0),
    }
    assert geometry(made(Encoder)) == {"down": (4, 4, 0), "up.1": (SIDE, 0, 0)}


def test_a_growing_network_shows_what_is_in_use() -> None:
    network = made(Growing)
    assert geometry(network) == {"from_rgb.0": (2, 2, 0), "blocks.0": (6, 2, -2)}
    network.stage.fill_(1)  # type: ignore[operator, union-attr]
    assert geometry(network) == {
        "from_rgb.1": (1, 1, 0),
        "blocks.1": (3, 1, -1),
        "blocks.0": (8, 2, -3),
    }


@pytest.mark.parametrize("kind", [Residual, TwoHeads, Projection], ids=lambda k: k.__name__)
def test_a_cell_of_the_network_itself_sees_that_and_nothing_else(kind: Any) -> None:
    network = made(kind)
    images = random_images(16)
    row, column = 3, 2
    for layer in conv_layers(network, images[:1]):
        inputs = images.clone().requires_grad_(True)
        found: list[Tensor] = []
        hook = network.get_submodule(layer.path).register_forward_hook(
            lambda module, given, output, found=found: found.append(output)
        )
        network(inputs)
        hook.remove()
        (gradient,) = torch.autograd.grad(found[0][:, :, row, column].square().sum(), inputs)
        seen = gradient.abs().sum(dim=(0, 1)) > 0
        expected = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        top, left = (layer.offset + i * layer.stride for i in (row, column))
        expected[
            max(top, 0) : max(top + layer.size, 0), max(left, 0) : max(left + layer.size, 0)
        ] = True
        assert torch.equal(seen, expected), layer


def test_the_network_is_left_as_it_was() -> None:
    network = made(Residual)
    images = random_images(2)
    before = network(images)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    conv_layers(network, images[:1])
    assert torch.equal(network(images), before)
    assert all(torch.equal(state[name], t) for name, t in network.state_dict().items())


def test_layers_that_there_are_not() -> None:
    image = random_images(1)
    with pytest.raises(GanAugError, match=r"layers=\[0\]: .* this discriminator has none to show"):
        chosen_layers(made(FullyConnected), image, [0])
    assert chosen_layers(made(FullyConnected), image, None) == []
    with pytest.raises(GanAugError, match=r"layers=\[4\]: .*0 \(next to the image\) to 3"):
        chosen_layers(made(Patches), image, [4])
    (only,) = chosen_layers(made(Projection), image, None)
    assert only.number == 0


def test_random_weights_are_looked_at_in_the_stage_that_training_reached() -> None:
    trained = made(Growing)
    trained.stage.fill_(1)  # type: ignore[operator, union-attr]
    trained.norm.running_mean.fill_(7)  # type: ignore[operator, union-attr]

    def build() -> nn.Module:
        network = Growing()
        network.last = nn.Linear(4, 1)
        return network

    images = random_images(4)
    random = with_random_weights(build, 3, [images], trained)
    assert int(random.stage) == 1  # type: ignore[arg-type]
    assert random.norm.running_mean.abs().max() < 5  # type: ignore[operator, union-attr]
    torch.manual_seed(3)
    fresh = build()
    assert torch.equal(random.blocks[0].weight, fresh.blocks[0].weight)  # type: ignore[index]


@pytest.mark.parametrize("kind", [Residual, FullyConnected, Patches], ids=lambda k: k.__name__)
def test_sheets_and_page(kind: Any) -> None:
    images = {"real": random_images(6), "generated": random_images(5)}
    trained = made(kind)
    controls = [with_random_weights(kind, seed, images.values(), trained) for seed in (1, 2)]
    methods = methods_for(trained, images["real"])
    convolves = kind is not FullyConnected
    assert methods == (list(METHODS) if convolves else ["integrated_gradients"])
    of_real = ("discriminator", "its logit of real")
    versions = Versions(*of_real, methods, trained, *controls)
    layers = chosen_layers(trained, images["real"][:1], None)
    numbers: dict[str, Any] = {"images": {title: len(x) for title, x in images.items()}}
    numbers["filters"], figures = filter_sheets(versions, layers, images, 3, 2)
    assert len(numbers["filters"]) == len(figures) == len(layers)
    baseline = images["real"].mean(dim=0, keepdim=True)
    numbers["maps"], found = map_sheets({"discriminator": versions}, images, baseline)
    assert numbers["maps"]["discriminator"].keys() == {*methods, "completeness_error", "mean_maps"}
    for of_method in (numbers["maps"]["discriminator"][method] for method in methods):
        assert abs(of_method["trained_and_random"]["mean"]) < 0.95
    figures |= found
    assert set(figures) == {
        *(f"filters_layer{layer.number}" for layer in layers),
        "maps_discriminator",
        "mean_maps",
    }
    for figure in figures.values():
        figure.set_dpi(20)
    page = render(
        "last.ckpt", numbers, {name: figure_png(figure) for name, figure in figures.items()}
    )
    assert page.count("<figure>") == len(figures)
    assert ("no convolutions whose filters could be shown" in page) is not convolves
    assert ("which Grad-CAM would be read off" in page) is not convolves
    assert ("Grad-CAM (Selvaraju" in page) is convolves
    assert "there is no latent space to walk through" in page
