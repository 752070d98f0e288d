"""The explain command on made-up X-rays, and its parts on networks whose answers are known."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pages_check import check_contents
from PIL import Image
from support import (
    TINY_GAN,
    TINY_QUALITY,
    environment,
    read_json,
    refused,
    run_command,
    settings_of,
)
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from gan_aug.interpret.copies import explainable, with_random_weights
from gan_aug.interpret.filters import (
    crop,
    guided_backprop,
    responses,
    selectivity,
    strongest,
)
from gan_aug.interpret.latent import largest_jump, project, slerp
from gan_aug.interpret.layers import chosen_layers, conv_layers, recorded
from gan_aug.interpret.maps import (
    all_maps,
    completeness_error,
    grad_cam,
    integrated_gradients,
    likeness,
    logit_difference,
    randomisation_check,
    rank_correlation,
)
from gan_aug.interpret.sheets import heat
from gan_aug.models.gans.dcgan import Discriminator, Generator
from gan_aug.models.networks.cnn import SmallCNN

SHEETS = {
    "filters_layer1", "filters_layer2", "maps_discriminator", "maps_cnn", "mean_maps",
    "interpolation", "truncation", "projection",
}  # fmt: skip
GAN = (*TINY_GAN, *TINY_QUALITY, "data.source.train_per_class=200", "trainer.max_epochs=2")
SMALL = (*TINY_QUALITY, "filters=3", "patches=2", "images=4")


class Chain(nn.Module):
    """A hand-made network."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).flatten()


def convolution(kernel: Tensor, **settings: int) -> nn.Conv2d:
    """A convolution with these weights (out, in, k, k) and no bias."""
    made = nn.Conv2d(kernel.shape[1], len(kernel), kernel.shape[-1], bias=False, **settings)
    made.weight = nn.Parameter(kernel.float())
    return made


def with_blob(row: int, column: int, side: int = 32) -> Tensor:
    image = torch.full((1, 1, side, side), -1.0)
    image[..., row : row + 3, column : column + 3] = 1
    return image


def random_images(n: int, side: int = 32, channels: int = 1) -> Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(n)) * 2 - 1


@pytest.fixture
def discriminator() -> nn.Module:
    torch.manual_seed(0)
    network = Discriminator(32, 1, 4, spectral_norm=False)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(5)  # the signal of initial weights is too weak to look at
    return network


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    """A folder with a GAN run, `gan`, and what explains it, `out`."""
    folder = tmp_path_factory.mktemp("explain")
    for name, arguments in (
        ("train", [*GAN, "hydra.run.dir=gan"]),
        ("explain", ["checkpoint=gan/checkpoints/last.ckpt", *SMALL, "hydra.run.dir=out"]),
    ):
        result = run_command(cache_home, name, *arguments, cwd=folder, check=True)
        (folder / f"{name}.txt").write_text(result.stdout)
        (folder / f"{name}.err").write_text(result.stderr)
    return folder


def test_the_command_leaves_every_sheet(home: Path) -> None:
    out = home / "out"
    assert {path.stem for path in out.glob("*.png")} == SHEETS
    for name in SHEETS:
        with Image.open(out / f"{name}.png") as image:
            assert min(image.size) > 200
    events = EventAccumulator(str(out)).Reload()
    assert set(events.Tags()["images"]) == {f"explain/{name}" for name in SHEETS}
    assert read_json(out / "run.json")["status"] == "finished"
    assert "out/explain.html" in (home / "explain.txt").read_text()
    assert "Warning" not in (home / "explain.err").read_text()


def test_the_page_needs_no_other_file(home: Path) -> None:
    page = (home / "out" / "explain.html").read_text()
    sources = re.findall(r'src="([^"]{30})', page)
    assert len(sources) == len(SHEETS)
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert check_contents(page)[0] == "Where they look on average"
    assert "A map that looks the same when the weights are random explains nothing" in page


def test_the_numbers(home: Path) -> None:
    found = read_json(home / "out" / "explain.json")
    page = (home / "out" / "explain.html").read_text()
    assert found["images"]["unseen real normal"] == found["images"]["generated pneumonia"] == 4
    assert found["images"]["for filters"] == {"real": 10, "generated": 10}
    for network in ("discriminator", "cnn"):
        for method in ("grad_cam", "integrated_gradients"):
            of_method = found["maps"][network][method]
            for pair in ("trained_and_random", "two_random"):
                assert -1 <= of_method[pair]["mean"] < 0.95
            assert f"{of_method['two_random']['mean']:.2f}" in page
        assert found["maps"][network]["completeness_error"] < 0.3
    for name, size in (("layer1", 10), ("layer2", 22)):
        layer = found["filters"][name]
        assert layer["receptive_field"] == size
        for version in ("trained", "random"):
            scores = layer[version]["selectivity"]
            assert scores == sorted(scores, reverse=True)
            assert len(set(layer[version]["filters"])) == len(scores) == 3
            assert scores[0] >= layer[version]["mean_selectivity"]
    projection = found["projection"]
    assert projection["generated"]["rms_mean"] < projection["unseen real"]["rms_mean"]
    assert f"{projection['training']['rms_mean']:.1f}" in page
    spread = found["truncation"]["spread"]
    assert spread["0.0"] == pytest.approx(0, abs=1e-3)
    assert spread["0.25"] < spread["1.0"]
    headline = read_json(home / "out" / "metrics.json")["headline"]
    assert headline["projection_rms_unseen"] == projection["unseen real"]["rms_mean"]
    check = found["maps"]["cnn"]["grad_cam"]["trained_and_random"]["mean"]
    assert headline["cnn_grad_cam_rho_with_random"] == check


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": [-1]}, "layers=[-1]: must be a list of whole numbers from 0"),
        ({"layers": "all"}, "layers=all: must be a list of whole numbers from 0"),
        ({"layers": []}, "layers=[]: must be a list of whole numbers from 0"),
        ({"filters": 0}, "filters=0: must be a whole number from 1"),
        ({"patches": 1.5}, "patches=1.5: must be a whole number from 1"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    checkpoint = tmp_path / "last.ckpt"
    checkpoint.write_text("")
    assert settings_of("explain", checkpoint=str(checkpoint), layers=[0, 2]).layers == [0, 2]
    with refused(message):
        settings_of("explain", checkpoint=str(checkpoint), **settings)


def test_captum_is_asked_for_in_one_line(tmp_path: Path, cache_home: Path) -> None:
    (tmp_path / "empty.ckpt").touch()  # it is not even read
    code = "import sys; sys.modules['captum'] = None; from gan_aug.explain import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "checkpoint=empty.ckpt"], cwd=tmp_path,
        env=environment(cache_home), capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr.startswith("error: explain: needs the package captum")


def test_crops_show_the_receptive_field(discriminator: nn.Module) -> None:
    layer = conv_layers(explainable(discriminator), random_images(1))[1]
    image = torch.arange(1, 32 * 32 + 1).float().reshape(1, 32, 32)
    middle = crop(image, layer, torch.tensor([2, 3]))
    top, left = 2 * layer.stride + layer.offset, 3 * layer.stride + layer.offset
    assert torch.equal(middle, image[:, top : top + 10, left : left + 10])
    corner = crop(image, layer, torch.tensor([0, 0]))
    assert corner.shape == (1, 10, 10)
    assert torch.equal(corner[:, 3:, 3:], image[:, :7, :7])
    assert not corner[:, :3].any()


def test_the_layer_that_makes_the_logit_is_not_shown(discriminator: nn.Module) -> None:
    network, image = explainable(discriminator), random_images(1)
    assert [layer.number for layer in chosen_layers(network, image, None)] == [1, 2]
    assert [layer.number for layer in chosen_layers(network, image, [2, 0])] == [2, 0]
    (layer,) = chosen_layers(network, image, [1])
    assert isinstance(network.get_submodule(layer.path), nn.BatchNorm2d)


def test_a_blob_detector_has_its_top_patch_at_the_blob() -> None:
    edge = torch.tensor([[-1.0, 0, 1]] * 3)[None, None]
    network = Chain(convolution(torch.cat([torch.ones(1, 1, 3, 3), edge]), padding=1))
    images = torch.cat([torch.full((1, 1, 32, 32), -1.0), with_blob(5, 20), 0.2 * with_blob(9, 3)])
    (layer,) = conv_layers(network, images[:1])
    found = responses(network, layer, images)
    top = strongest(found, 0, 2)
    assert top.rows.tolist() == [1, 2]
    assert top.cells.tolist() == [[6, 21], [10, 4]]
    assert torch.equal(crop(images[1], layer, top.cells[0]), torch.ones(1, 3, 3))
    assert strongest(found, 1, 1).cells.tolist() == [[6, 19]]  # where dark turns to bright


def test_selectivity_is_higher_for_rare_responses() -> None:
    random = torch.Generator().manual_seed(0)
    found = torch.randn(20, 2, 8, 8, generator=random)
    found[:3, 1, 4, 4] = 30
    scores = selectivity(found, 3)
    assert scores[1] > 2 * scores[0]
    assert selectivity(10 * found + 5, 3).tolist() == pytest.approx(scores.tolist(), rel=1e-4)


def test_guided_backpropagation_lets_nothing_negative_through() -> None:
    """The second convolution takes the first one's second channel with a negative weight."""
    kernels = torch.tensor([1.0, 1.0]).reshape(2, 1, 1, 1)
    network = Chain(
        convolution(kernels),
        nn.LeakyReLU(0.2, inplace=True),
        convolution(torch.tensor([1.0, -3.0]).reshape(1, 2, 1, 1)),
    )
    copy = explainable(network)
    image = torch.ones(1, 1, 4, 4)
    cells = torch.tensor([[1, 2]])
    guided = guided_backprop(copy, copy.layers[2], image, 0, cells)  # type: ignore[index]
    assert guided[0, 0, 1, 2] == 1
    assert guided.abs().sum() == 1
    plain = image.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(copy.layers(plain)[0, 0, 1, 2], plain)  # type: ignore[index,operator]
    assert gradient[0, 0, 1, 2] == -2


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_guided_backpropagation_through_a_discriminator(spectral_norm: bool) -> None:
    torch.manual_seed(1)
    network = Discriminator(32, 3, 4, spectral_norm)
    if spectral_norm:
        for module in network.layers:
            if isinstance(module, nn.Conv2d):
                nn.utils.parametrizations.spectral_norm(module)
    copy = explainable(network)
    images = random_images(4, channels=3)
    torch.testing.assert_close(copy(images), network.eval()(images))
    layer = conv_layers(copy, images[:1])[2]
    at = copy.get_submodule(layer.path)
    top = strongest(responses(copy, layer, images), 5, 4)
    shown = images[top.rows]
    guided = guided_backprop(copy, at, shown, 5, top.cells)
    inputs = shown.clone().requires_grad_(True)
    with recorded(copy) as calls:
        copy(inputs)
    (maps,) = (call.output for call in calls if call.path == layer.path)
    found = maps[torch.arange(4), 5, top.cells[:, 0], top.cells[:, 1]]
    (plain,) = torch.autograd.grad(found.sum(), inputs)
    assert guided.shape == plain.shape
    assert not torch.allclose(guided, plain, rtol=0.01, atol=1e-3 * float(plain.abs().max()))
    again = guided_backprop(copy, at, shown, 5, top.cells)
    assert torch.equal(guided, again)  # no hook is left behind


def test_maps_of_a_blob_detector_point_at_the_blob() -> None:
    side = 16
    network = Chain(
        convolution(torch.ones(1, 1, 3, 3) / 9, padding=1),
        nn.ReLU(inplace=True),
        nn.AvgPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(side * side, 1),
    )
    nn.init.ones_(network.layers[-1].weight)  # type: ignore[arg-type]
    explained = explainable(network)
    images = torch.cat([with_blob(4, 22), with_blob(20, 8)])
    cam = grad_cam(explained, images)
    assert cam.shape == (2, side, side)
    baseline = torch.full((1, 1, 32, 32), -1.0)
    gradients = integrated_gradients(explained, images, baseline)
    for found in (cam, gradients):
        for one, (row, column) in zip(found, [(2, 11), (10, 4)], strict=True):
            at = divmod(int(one.argmax()), side)
            assert abs(at[0] - row) <= 1
            assert abs(at[1] - column) <= 1
            assert one[side - 1, 0].abs() < 1e-6
    assert completeness_error(explained, images, baseline, gradients) < 0.1
    overlay = heat(images[0], cam[0])
    red = overlay[..., 0] - overlay[..., 2]
    assert red[5, 23] > 0.15
    assert abs(red[28, 2]) < 1e-6


@pytest.mark.parametrize(("side", "cells"), [(8, 8), (28, 28), (50, 25), (64, 16)])
def test_no_pixel_is_left_out_of_a_map(side: int, cells: int) -> None:
    """Of a linear network the gradients are exact: what lacks was not summed."""
    torch.manual_seed(0)
    network = explainable(Chain(nn.Flatten(), nn.Linear(side**2, 1)))
    images, baseline = random_images(3, side), torch.zeros(1, 1, side, side)
    maps = integrated_gradients(network, images, baseline)
    assert maps.shape == (3, cells, cells)
    assert completeness_error(network, images, baseline, maps) < 1e-4


def test_a_classifiers_maps_change_sign_with_the_class() -> None:
    torch.manual_seed(0)
    network = SmallCNN(32, 1, 2, 4, 8)
    swapped = SmallCNN(32, 1, 2, 4, 8)
    swapped.load_state_dict(network.state_dict())
    with torch.no_grad():
        for parameter in swapped.layers[-1].parameters():
            parameter.copy_(parameter.flip(0))
    images = random_images(3)
    baseline = images.mean(dim=0, keepdim=True)
    a, b = (
        all_maps(logit_difference(explainable(n), 1), images, baseline) for n in (network, swapped)
    )
    for method in a:
        assert a[method].abs().max() > 0
        torch.testing.assert_close(a[method], -b[method])


def test_rank_correlation() -> None:
    random = torch.Generator().manual_seed(0)
    maps = torch.randn(50, 8, 8, generator=random)
    assert rank_correlation(maps, maps.exp()) == pytest.approx(1)  # ranks only
    assert rank_correlation(maps, -maps) == pytest.approx(-1)
    assert rank_correlation(maps, torch.zeros_like(maps)) == pytest.approx(0)
    assert abs(rank_correlation(maps, torch.randn(50, 8, 8, generator=random)).mean()) < 0.06
    assert likeness(maps, -maps)["without_sign"] == pytest.approx(1)


def test_the_check_tells_other_weights_from_the_same(discriminator: nn.Module) -> None:
    images = random_images(12)
    baseline = torch.zeros(1, 1, 32, 32)

    def build() -> nn.Module:
        return Discriminator(32, 1, 4, spectral_norm=False)

    before = torch.random.get_rng_state()
    networks = [explainable(discriminator)]
    networks += [with_random_weights(build, seed, [images], discriminator) for seed in (1, 2)]
    assert torch.equal(before, torch.random.get_rng_state())
    again = with_random_weights(build, 1, [images], discriminator)
    assert again(images).equal(networks[1](images))
    trained, first, second = (all_maps(n, images, baseline) for n in networks)
    check = randomisation_check(trained, first, second)
    same = randomisation_check(trained, trained, second)
    for method in check:
        assert same[method]["trained_and_random"]["mean"] == pytest.approx(1)
        assert abs(check[method]["trained_and_random"]["mean"]) < 0.5
        assert abs(check[method]["two_random"]["mean"]) < 0.5


def test_random_weights_keep_the_signal_alive() -> None:
    """Without the batch norm statistics of the images, responses fade towards the logit."""

    def build() -> nn.Module:
        return Discriminator(64, 1, 4, spectral_norm=False)

    images = random_images(16, side=64)
    network = with_random_weights(build, 0, [images], build())
    last = conv_layers(network, images[:1])[-1]
    assert responses(network, last, images).std() == pytest.approx(1, abs=0.2)


def test_slerp_keeps_the_length() -> None:
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 5, 100, generator=random)
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (a, b))
    way = slerp(a, b, 7)
    torch.testing.assert_close(way[:, 0], a)
    torch.testing.assert_close(way[:, -1], b)
    torch.testing.assert_close(way.norm(dim=2), torch.ones(5, 7))
    step = way.diff(dim=1).norm(dim=2)
    torch.testing.assert_close(step, step[:, :1].expand_as(step))


def test_a_jump_is_seen() -> None:
    even = torch.linspace(-1, 1, 9)[None, :, None, None, None].expand(2, 9, 1, 4, 4)
    assert largest_jump(even) == pytest.approx(1)
    assert largest_jump((even > 0.1).float()) == pytest.approx(8)


def test_projection_finds_what_the_generator_made() -> None:
    torch.manual_seed(0)
    generator = Generator(32, 1, 8, 4).eval().requires_grad_(False)
    for module in generator.modules():
        if isinstance(module, nn.ConvTranspose2d):
            module.weight.mul_(10)  # images of some contrast
    made = generator(torch.randn(4, 8))
    other = torch.rand(4, 1, 32, 32) * 2 - 1
    found = project(generator, 8, torch.cat([made, other]), 200, torch.Generator().manual_seed(1))
    contrast = 127.5 * made.std(dim=0).mean()
    assert found.rms[:4].max() < 0.15 * contrast
    assert found.rms[4:].min() > 5 * found.rms[:4].max()
    expected = 127.5 * (found.images[0] - made[0]).square().mean().sqrt()
    assert found.rms[0] == pytest.approx(float(expected))
    assert found.lengths[:4].mean() == pytest.approx(1, abs=0.5)
    start = project(generator, 8, made, 1, torch.Generator().manual_seed(1))
    apart = 127.5 * (made - made.flip(0)).square().mean(dim=(1, 2, 3)).sqrt()
    assert (start.rms < 0.8 * apart).all()  # from the nearest of many, not from any latent
