"""Feature extractors: what reaches their networks, where weights come from, what is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from urllib.error import URLError

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from support import BINARY, ROOT
from torch import Tensor, nn
from torchvision import models

from gan_aug.data.image_table import Images
from gan_aug.evaluation.extractors import Extractor
from gan_aug.evaluation.reference_classifier import ReferenceClassifier
from gan_aug.models.classifier import Classifier, weights_hash
from gan_aug.models.networks.cnn import SmallCNN
from gan_aug.runtime.errors import GanAugError, one_line
from gan_aug.settings.base import Node

WIDTH, HIDDEN, SCALE = 4, 16, 0.25
WEIGHTS_FILE = models.ResNet18_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]


def images(n: int = 5, channels: int = 1) -> Images:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (n, channels, 32, 32)).astype(np.uint8)


@pytest.fixture(scope="module")
def reference() -> ReferenceClassifier:
    """A reference classifier that nobody fitted."""
    network = SmallCNN(image_size=32, channels=1, classes=2, width=WIDTH, hidden=HIDDEN)
    module = Classifier(network, [*BINARY], BINARY.positive, torch.optim.Adam, "constant", None)
    counts = dict.fromkeys(BINARY, 1)
    return ReferenceClassifier(module.eval(), weights_hash(module), SCALE, counts)


def extractor(reference: ReferenceClassifier, name: str, **changes: object) -> Extractor:
    """Return the extractor that conf/extractor/NAME.yaml asks for."""
    plain = OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "extractor" / f"{name}.yaml"))
    assert isinstance(plain, dict)
    made: Extractor = Node.model_validate(plain | changes).build()(reference)
    return made


def complaint(reference: ReferenceClassifier, name: str, **changes: object) -> str:
    with pytest.raises(GanAugError) as error:
        extractor(reference, name, **changes)
    return one_line(error.value)  # as the commands print it


def test_the_classifiers_features_are_its_last_hidden_layer(reference: ReferenceClassifier) -> None:
    found = extractor(reference, "cnn")
    features = found(images())
    assert features.shape == (5, HIDDEN)
    assert features.min() >= 0  # after the ReLU
    assert features.std(dim=0).max() > 0
    assert found.sha256 == reference.sha256
    assert found.label == f"cnn-{reference.sha256[:8]}"
    last = reference.module.network.layers[-1]
    logits = torch.nn.functional.linear(features * SCALE, last.weight, last.bias)
    expected = torch.softmax(logits.double(), dim=1)
    torch.testing.assert_close(reference.probabilities(images()), expected, atol=1e-6, rtol=0)


def test_features_do_not_depend_on_the_batch(reference: ReferenceClassifier) -> None:
    many = images(230)
    features = extractor(reference, "cnn")(many)
    assert features.shape == (230, HIDDEN)
    assert not features.requires_grad
    for row in (0, 99, 100, 229):
        assert torch.allclose(features[row], extractor(reference, "cnn")(many[[row]])[0], atol=1e-5)


@pytest.fixture
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch hub, and no network."""

    def unreachable(*args: object, **settings: object) -> None:
        raise URLError("no network in tests")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", unreachable)
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


def save_resnet(folder: Path, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = models.resnet18()
    torch.save(network.state_dict(), folder / WEIGHTS_FILE)
    return network.eval()


def test_torchvision_works_offline_with_cached_weights(
    reference: ReferenceClassifier, torch_home: Path
) -> None:
    network = save_resnet(torch_home, seed=0)
    found = extractor(reference, "torchvision")
    features = found(images())
    assert features.shape == (5, 512)
    assert found.label == f"resnet18-IMAGENET1K_V1-{found.sha256[:8]}"
    assert found.sha256 == extractor(reference, "torchvision").sha256

    # The library's own preparation of the same image, but for the crop.
    grey = torch.from_numpy(images()[:1]).float().expand(-1, 3, -1, -1) / 255
    large = torch.nn.functional.interpolate(grey, (224, 224), mode="bilinear")
    prepared = (large - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor(
        [0.229, 0.224, 0.225]
    )[:, None, None]
    with torch.no_grad():
        expected = network.fc(features[:1])
        assert torch.allclose(network(prepared), expected, atol=1e-4)

    save_resnet(torch_home, seed=1)
    other = extractor(reference, "torchvision")
    assert other.sha256 != found.sha256
    assert not torch.allclose(other(images()), features)


def test_torchvision_takes_colour_as_it_is(
    reference: ReferenceClassifier, torch_home: Path
) -> None:
    save_resnet(torch_home, seed=0)
    found = extractor(reference, "torchvision")
    grey = images()
    assert torch.allclose(found(np.repeat(grey, 3, axis=1)), found(grey), atol=1e-5)
    assert not torch.allclose(found(images(channels=3)), found(grey))


def test_without_weights_and_network_the_way_out_is_named(
    reference: ReferenceClassifier, torch_home: Path
) -> None:
    line = complaint(reference, "torchvision")
    assert line.startswith("extractor=torchvision:")
    assert "URLError" in line
    assert line.endswith("use extractor=cnn")


def test_a_model_without_the_layer_is_refused(
    reference: ReferenceClassifier, torch_home: Path
) -> None:
    line = complaint(reference, "torchvision", model="squeezenet1_1", weights=None)
    assert "squeezenet1_1" in line
    assert "resnet18" in line


class Recorder(nn.Module):
    """In place of a network that is not here: keeps what it is given, returns four means."""

    def __init__(self, *arguments: object, **settings: object) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(4.0))
        self.made_with = (arguments, settings)
        self.given: list[Tensor] = []
        made.append(self)

    def features2(self, x: Tensor) -> Tensor:
        self.given.append(x)
        return x.float().flatten(1).unflatten(1, (4, -1)).mean(dim=2) + self.weight

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (self.features2(x),)


made: list[Recorder] = []


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    """Both optional packages, with a recorder for a network; returns the networks made."""
    made.clear()
    xrays = ModuleType("torchxrayvision")
    xrays.models = ModuleType("torchxrayvision.models")  # type: ignore[attr-defined]
    xrays.models.DenseNet = Recorder
    inception = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    inception.FeatureExtractorInceptionV3 = Recorder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchxrayvision", xrays)
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, inception.__name__, inception)
    return made


def test_torchxrayvision_gets_one_channel_in_its_own_scale(
    reference: ReferenceClassifier, libraries: list[Recorder]
) -> None:
    found = extractor(reference, "torchxrayvision")
    features = found(np.stack([np.full((1, 32, 32), v, np.uint8) for v in (0, 255, 51)]))
    assert features.shape == (3, 4)
    assert found.name == "densenet121-res224-all"
    (network,) = libraries
    assert network.made_with == ((), {"weights": "densenet121-res224-all"})
    assert not network.training
    (given,) = network.given
    assert given.shape == (3, 1, 224, 224)
    assert given.dtype == torch.float32
    for image, value in zip(given, (-1024, 1024, -1024 * 0.6), strict=True):
        assert image.min().item() == pytest.approx(value, abs=0.01)
        assert image.max().item() == pytest.approx(value, abs=0.01)
    colour = images(channels=3)
    colour[:, 1] //= 2
    colour[:, 2] = 200
    found(colour)
    assert network.given[1].shape == (5, 1, 224, 224)
    brightness = (network.given[1] / 1024 + 1).mean(dim=(1, 2, 3)) / 2
    assert brightness.numpy() == pytest.approx(colour.mean(axis=(1, 2, 3)) / 255, abs=0.01)


def test_inception_gets_three_channels_of_bytes(
    reference: ReferenceClassifier, libraries: list[Recorder]
) -> None:
    found = extractor(reference, "inception")
    grey = images()
    assert found(grey).shape == (5, 4)
    assert found.name == "inception-2048"
    (network,) = libraries
    assert network.made_with == (("inception-v3-compat", ["2048"]), {})
    assert not network.training
    (given,) = network.given
    assert given.dtype == torch.uint8  # it refuses anything else
    assert torch.equal(given, torch.from_numpy(np.repeat(grey, 3, axis=1)))
    colour = images(channels=3)
    found(colour)
    assert torch.equal(network.given[1], torch.from_numpy(colour))


def test_the_hash_is_of_the_weights(
    reference: ReferenceClassifier, libraries: list[Recorder]
) -> None:
    same = [extractor(reference, name).sha256 for name in ("inception", "torchxrayvision")]
    assert same[0] == same[1] == weights_hash(libraries[0])
    with torch.no_grad():
        libraries[0].weight[0] = 1
    assert weights_hash(libraries[0]) != same[0]


@pytest.mark.parametrize(
    ("name", "package"), [("inception", "torch_fidelity"), ("torchxrayvision", "torchxrayvision")]
)
def test_a_missing_package_gives_one_line(
    name: str, package: str, reference: ReferenceClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [m for m in sys.modules if m.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)  # import raises, installed or not
    line = complaint(reference, name)
    assert line.startswith(f"extractor={name}: needs the package {package}")
    assert line.endswith("pip install 'gan_aug[extractors]'")


@pytest.mark.parametrize("name", ["inception", "torchxrayvision"])
def test_weights_that_cannot_be_fetched_give_one_line(
    name: str,
    reference: ReferenceClassifier,
    libraries: list[Recorder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreachable(*args: object, **settings: object) -> None:
        raise RuntimeError("download failed\n  try again later")

    monkeypatch.setattr(Recorder, "__init__", unreachable)
    line = complaint(reference, name)
    assert line.startswith(f"extractor={name}: its weights are not on this machine")
    assert "RuntimeError: download failed" in line
    assert line.endswith("use extractor=cnn")
