"""Any classifier: torchvision's ResNet-18, models of timm, weights of others."""

from __future__ import annotations

import copy
import json
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from gan_training import build
from safetensors.torch import save_file
from support import TINY_DATA, TINY_STUDY, composed, run_command, settings_of
from torchvision.models import resnet18

from gan_aug.data.batches import Pool, shuffled
from gan_aug.data.datamodule import DataModule
from gan_aug.interpret.copies import explainable
from gan_aug.interpret.maps import LEAST_SIDE, grad_cam, logit_difference, map_layer
from gan_aug.models.classifier import weights_hash
from gan_aug.models.fit import fit
from gan_aug.models.networks.base import ImageClassifier
from gan_aug.models.networks.pretrained import read_state
from gan_aug.models.networks.resnet import ResNet18
from gan_aug.models.networks.timm import TimmClassifier
from gan_aug.runtime.errors import GanAugError

KNOWN = ("data.channels=3", "data.num_classes=5", "data.classes=[a,b,c,d,e]")
NAMES = ("cnn", "cnn4", "resnet18", "timm", "vit")


def made(name: str, *overrides: str) -> Any:
    chosen = [f"model={name}"]
    if name == "vit":
        chosen = ["model=timm", "model.name=test_vit"]
    if name == "timm":
        chosen = ["model=timm", "model.name=test_convnext"]
    return build(composed("train", "data=phantom", *KNOWN, *chosen, *overrides))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_and_features(name: str, channels: int) -> None:
    network = made(name, f"data.channels={channels}").network.eval()
    assert isinstance(network, ImageClassifier)
    images = torch.rand(3, channels, 64, 64) * 2 - 1
    with torch.no_grad():
        logits, features = network(images), network.features(images)
    assert logits.shape == (3, 5)
    assert features.ndim == 2
    assert features.shape[0] == 3
    last = [m for m in network.modules() if isinstance(m, torch.nn.Linear)][-1]
    assert last.out_features == 5
    torch.testing.assert_close(last(features), logits)


class Own(ImageClassifier):
    """Somebody's network: what it returns is made from the logits."""

    def __init__(self, returns: Callable[[torch.Tensor], Any], size: int = 64) -> None:
        super().__init__()
        self.returns, self.last = returns, torch.nn.Linear(size * size, 5)
        self.dropped = torch.nn.Dropout().eval()

    def forward(self, images: torch.Tensor) -> Any:
        return self.returns(self.last(self.dropped(images.flatten(1))))


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (Own(lambda logits: logits[:, :1]), "returned (1, 1) for a batch of 1, not (1, 5); return"),
        (Own(lambda logits: logits.repeat(1, 200)), "returned (1, 1000) for a batch of 1, not"),
        (Own(torch.squeeze), "returned (5,) for a batch of 1, not (1, 5); return a logit for each"),
        (Own(lambda logits: (logits, None)), "returned tuple for a batch of 1, not (1, 5)"),
        (Own(lambda logits: logits.softmax(dim=1)), "returned probabilities, whose sum is 1;"),
        (Own(torch.relu, size=224), "cannot take images (4, 1, 64, 64) on the CPU, where it "),
    ],
)
def test_a_network_that_returns_no_logits_is_refused_before_its_fit(
    network: Own, says: str
) -> None:
    """Five logits for two classes would be trained and measured without a word."""
    module = made("cnn", "data.channels=1")
    module.network = network
    pool = Pool(torch.zeros(6, 1, 64, 64, dtype=torch.uint8), torch.zeros(6, dtype=torch.int64))
    data = DataModule(pool, shuffled(6, 2, 0), 3)
    with pytest.raises(GanAugError, match=re.escape(f".Own: forward {says}")):
        fit(module, data, settings_of("train", "data=phantom", "model=cnn").trainer)


class Viewing(Own):
    """Takes images whose channels come first alone."""

    def forward(self, images: torch.Tensor) -> Any:
        return self.last(images.view(len(images), -1))


def test_a_network_is_asked_about_images_as_batches_hold_them() -> None:
    module = made("cnn", "data.channels=3")
    module.network = Viewing(torch.relu, size=24)
    pool = Pool(torch.zeros(6, 3, 8, 24, dtype=torch.uint8), torch.zeros(6, dtype=torch.int64))
    data = DataModule(pool, shuffled(6, 2, 0), 3)
    with pytest.raises(GanAugError, match=r"cannot take images .* measured \(view size is not"):
        fit(module, data, settings_of("train", "data=phantom", "model=cnn").trainer)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")],
)
def test_too_little_memory_is_no_fault_of_a_network(error: Exception) -> None:
    def runs_out(logits: torch.Tensor) -> torch.Tensor:
        raise error

    module = made("cnn", "data.channels=1")
    module.network = Own(runs_out)
    with pytest.raises(type(error)):  # the command line tells what to do
        module.try_on(torch.rand(3, 1, 64, 64))


def test_asking_a_network_first_changes_nothing() -> None:
    module = made("cnn", "data.channels=1")
    module.network = Own(lambda logits: logits + torch.rand_like(logits))  # as Monte Carlo dropout
    images = torch.rand(3, 1, 64, 64)
    before, state = weights_hash(module), torch.get_rng_state()
    module.try_on(images)
    assert weights_hash(module) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert module.network.training
    assert not module.network.dropped.training


def test_a_network_that_cannot_be_copied_is_trained_all_the_same() -> None:
    """Weights that are computed from others keep a module from being copied."""
    module = made("cnn", "data.channels=1")
    module.network = Own(torch.relu)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.nn.utils.weight_norm(module.network.last)
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(module.network)
    module.try_on(torch.rand(3, 1, 64, 64))


def test_weights_of_a_file_but_for_the_last_layer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = resnet18(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "r.pth")
    old = tmp_path / "old.pth"  # of torch before 1.6
    torch.save(theirs.state_dict(), old, _use_new_zipfile_serialization=False)
    assert torch.equal(read_state(old)["conv1.weight"], theirs.conv1.weight)
    colour = ResNet18(3, 4, False, str(tmp_path / "r.pth")).eval()
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    mean, std = (
        torch.tensor(x)[:, None, None] for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    theirs.fc = torch.nn.Identity()
    with torch.no_grad():
        expected = theirs(((images + 1) / 2 - mean) / std)
        torch.testing.assert_close(colour.features(images), expected)
    grey = ResNet18(1, 4, False, str(tmp_path / "r.pth"))
    torch.testing.assert_close(grey.body.conv1.weight, theirs.conv1.weight.sum(dim=1, keepdim=True))


def test_weights_of_timm_in_safetensors(tmp_path: Path) -> None:
    theirs = timm.create_model("test_convnext", num_classes=1000)
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    ours = TimmClassifier("test_convnext", 64, 3, 4, False, str(tmp_path / "w.safetensors"))
    for name, tensor in theirs.state_dict().items():
        if not name.startswith("head.fc"):
            torch.testing.assert_close(ours.body.state_dict()[name], tensor)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"hello", "cannot be read as weights"),
        ([1, 2], "holds no weights"),
        ({"a": "b"}, "holds other things than weights"),
        ({"conv1.weight": torch.zeros(64, 3, 7, 7)}, "is of another network"),
        (resnet18().state_dict() | {"conv1.weight": torch.zeros(64)}, "is of another network"),
    ],
)
def test_files_that_hold_other_things(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "w.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(GanAugError, match=rf"classifier\.weights=.*w\.pth: {message}"):
        ResNet18(3, 2, False, str(path))


class Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("evil-ran"),))


def test_a_file_of_weights_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Evil(), tmp_path / "w.pth")
    with pytest.raises(GanAugError, match="cannot be read as weights"):
        ResNet18(3, 2, False, str(tmp_path / "w.pth"))
    assert not (tmp_path / "evil-ran").exists()


@pytest.mark.parametrize("new", [True, False])
def test_a_file_of_weights_asks_for_no_memory(new: bool, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    content = {"a": torch.zeros(1), "b": bytearray(3)}
    torch.save(content, path, _use_new_zipfile_serialization=new)
    with pytest.raises(GanAugError, match="it holds __builtin__ bytearray"):
        read_state(path)


def test_a_file_of_weights_is_not_unpacked(tmp_path: Path) -> None:
    stored, packed = tmp_path / "stored.pth", tmp_path / "packed.pth"
    torch.save({"a": torch.zeros(10**5)}, stored)
    with zipfile.ZipFile(stored) as source, zipfile.ZipFile(packed, "w", 8) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert read_state(stored)["a"].shape == (10**5,)
    with pytest.raises(GanAugError, match=r"data\.pkl is compressed"):
        read_state(packed)


@pytest.mark.parametrize("name", ["resnet18", "timm"])
def test_pretrained_without_a_network_gets_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*arguments: Any, **settings: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    monkeypatch.setattr("timm.create_model", offline)
    makes: dict[str, Any] = {
        "timm": lambda: TimmClassifier("convnext_atto", 64, 3, 2, True, None),
        "resnet18": lambda: ResNet18(3, 2, True, None),
    }
    with pytest.raises(GanAugError, match=r"pretrained=true: .*classifier\.weights=FILE"):
        makes[name]()
    with pytest.raises(GanAugError, match="name one of the two"):
        ResNet18(3, 2, True, "x.pth")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("resnet81", r"did you mean resnet18, "),
        ("convnext_ato", r"did you mean convnext_atto, "),
        ("Convnext-Atto.d2_in1k", r"did you mean convnext_atto"),
        ("qqqqqqqqqq", r"timm\.list_models\(\) lists its names"),
    ],
)
def test_a_name_that_timm_does_not_know(name: str, meant: str) -> None:
    with pytest.raises(
        GanAugError, match=rf"classifier\.name={re.escape(name)}: timm has no such model; {meant}"
    ):
        TimmClassifier(name, 64, 3, 2, False, None)


@pytest.mark.parametrize("name", ["cnn", "cnn4", "resnet18", "timm"])
def test_maps_of_any_convolutional_network(name: str) -> None:
    network = explainable(made(name).network)
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    maps = grad_cam(logit_difference(network, 2), images)
    assert maps.shape[0] == 2
    assert maps.shape[1] == maps.shape[2] >= LEAST_SIDE
    assert maps.abs().max() > 0


def test_a_network_without_maps_gets_one_line() -> None:
    network, images = made("vit", "data.image_size=32").network.eval(), torch.zeros(1, 3, 32, 32)
    assert map_layer(network, images) is None
    with pytest.raises(GanAugError, match="has no layer with a map of 8 x 8 cells"):
        grad_cam(logit_difference(network, 1), images)


def test_the_learning_rate_falls_as_a_cosine() -> None:
    module = made("resnet18", "model.lr=0.01")

    class Trainer:
        estimated_stepping_batches = 10

    module._trainer = Trainer()
    found = module.configure_optimizers()
    optimizer, scheduler = found["optimizer"], found["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    expected = [0.005 * (1 + torch.cos(torch.tensor(k * torch.pi / 10)).item()) for k in range(11)]
    assert rates == pytest.approx(expected, abs=1e-8)
    assert optimizer.param_groups[0]["weight_decay"] == 0.05


@pytest.mark.slow
def test_other_classifiers_through_the_commands(tmp_path: Path, cache_home: Path) -> None:
    """ResNet-18 in `train`, a model of timm in a study, ResNet-18 as an explained reference."""

    def run(name: str, *arguments: str) -> str:
        done = run_command(cache_home, name, *arguments, cwd=tmp_path, check=True)
        return str(done.stdout)

    run(
        "train", "model=resnet18", *TINY_DATA, "trainer.max_epochs=2", "hydra.run.dir=r",
        "callbacks.checkpoint.every_n_seconds=0",
    )  # fmt: skip
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())
    assert metrics["trained_batches"] == 2 * (76 // 8)
    kept = [o for o in TINY_STUDY if not o.startswith(("classifier.", "quality.classifier."))]
    reference = (
        "model@quality.classifier=resnet18",
        "quality.reference_steps=5",
        "quality.fit_steps=3",
    )
    run(
        "study", "+study=seed_protocol", *kept, *reference, "model@classifier=timm",
        "classifier.name=test_convnext", "quality.use=[kid,judged,gan_test]", "study_dir=s",
    )  # fmt: skip
    record = json.loads((tmp_path / "s" / "draw_0" / "run.json").read_text())
    assert record["config"]["classifier"]["module"]["network"]["name"] == "test_convnext"
    checks = json.loads((tmp_path / "s" / "draw_0" / "metrics.json").read_text())["checks"]
    assert all(check["passed"] for check in checks)
    gan = next((tmp_path / "runs" / "gans").glob("*/checkpoints/last.ckpt"))
    run(
        "explain",
        f"checkpoint={gan}",
        *reference,
        "quality.count=10",
        "images=3",
        "hydra.run.dir=x",
    )
    numbers = json.loads((tmp_path / "x" / "explain.json").read_text())
    assert numbers["maps"]["cnn"]["grad_cam"]["trained_and_random"]["mean"] < 1
