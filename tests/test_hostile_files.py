"""A file is data: whatever it says, nothing in it is run, and damage is named, not used."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support import TINY_GAN, TINY_QUALITY, assert_one_line, read_json, rewrite, run_command
from torch import nn

from gan_aug.data.stored import check_plain, known_sources
from gan_aug.models.gans.dcgan import DCGAN
from gan_aug.models.networks.base import ImageClassifier
from gan_aug.models.rebuild import known_classes, rebuild
from gan_aug.models.restore import load_gan, read_checkpoint
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import sha256_of

Command = Callable[..., Any]
GAN = (*TINY_GAN, *TINY_QUALITY, "data.source.train_per_class=200", "trainer.max_epochs=3",
       "callbacks.checkpoint.every_n_seconds=0")  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    """A folder with a GAN run, `gan`."""
    folder = tmp_path_factory.mktemp("hostile")
    run_command(cache_home, "train", *GAN, "hydra.run.dir=gan", cwd=folder, check=True)
    return folder


def changed(home: Path, folder: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Write a checkpoint that differs from the sound one by `edit`."""
    content = torch.load(home / "gan" / "checkpoints" / "last.ckpt", weights_only=True)
    edit(content)
    path = folder / "changed.ckpt"
    torch.save(content, path)
    return path


def attack(flag: Path) -> dict[str, Any]:
    return {"_target_": "sympy.sympify", "a": f"__import__('os').system('touch {flag}')"}


def config_of(content: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = content["gan_aug"]["config"]
    return config


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("generate", "model.module.generator"),
        ("generate", "model.module"),
        ("evaluate", "data.source"),
        ("explain", "model.module.generator"),
    ],
)
def test_a_checkpoint_runs_no_code(
    name: str, key: str, home: Path, command: Command, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"

    def plant(content: dict[str, Any]) -> None:
        *path, last = key.split(".")
        node = config_of(content)
        for part in path:
            node = node[part]
        node[last] = attack(flag)

    checkpoint = changed(home, tmp_path, plant)
    output = ["output_dir=made"] if name == "generate" else ["hydra.run.dir=out", *TINY_QUALITY]
    told = (f"checkpoint={checkpoint}", key, "sympy.sympify", "none of gan_aug's")
    assert_one_line(command(name, f"checkpoint={checkpoint}", *output), *told)
    assert not flag.exists()
    assert not (tmp_path / "made").exists()


def test_a_manifest_runs_no_code(home: Path, command: Command, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    shutil.copytree(home / "gan" / "synthetic", tmp_path / "set")
    path = tmp_path / "set" / "manifest.json"
    stored = read_json(path)["data_settings"]
    rewrite(path, data_settings=stored | {"source": attack(flag)})
    told = (str(Path("set") / "manifest.json"), "data_settings.source", "sympy.sympify")
    result = command("evaluate", "synthetic.dir=set", *TINY_QUALITY, "hydra.run.dir=out")
    assert_one_line(result, *told)
    assert not flag.exists()


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "os.system", "command": "true"},
        {"_target_": "builtins.eval"},
        {"_target_": "hydra.utils.instantiate"},
        {"_target_": "hydra._internal.instantiate._instantiate2.instantiate"},
        {"_target_": "torch.load", "f": "x"},
        {"_target_": "gan_aug.runtime.command_line.subprocess.run"},
        {"_target_": "gan_aug.models.rebuild.importlib.import_module", "name": "antigravity"},
        {"_target_": "gan_aug.models.gans.dcgan.torch.load"},
        {"_target_": "gan_aug.models.gans.base.GAN"},
        {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1.0},
        {"_target_": ["gan_aug.models.gans.dcgan.Discriminator"]},
        {"_target_": "gan_aug.models.gans.dcgan.Discriminator", "_partial_": True},
        {"_target_": "gan_aug.models.gans.gan.Generator", "_args_": [1], "width": 1},
        {"_target_": "gan_aug.models.gans.gan.Generator", "width": {"_target_": "os.getcwd"}},
        {
            "_target_": "gan_aug.models.networks.resnet.ResNet18",
            "channels": 1,
            "classes": 2,
            "pretrained": True,
            "weights": None,
        },
        {
            "_target_": "gan_aug.models.networks.cnn.SmallCNN",
            "image_size": 32,
            "channels": 1,
            "classes": 2,
            "width": 2,
            "hidden": 2,
        },
        [{"_target_": "os.getcwd"}],
        {1, 2},
    ],
    ids=str,
)
def test_only_known_classes_are_built(node: Any) -> None:
    with pytest.raises(GanAugError, match=r"^FILE: key"):
        rebuild(node, "FILE", "key")


def test_known_classes_are_gan_augs_own_and_fetch_nothing() -> None:
    names = set(known_classes())
    assert {
        "gan_aug.models.gans.dcgan.DCGAN",
        "gan_aug.models.gans.dcgan.Generator",
    } <= names
    for name, kind in known_classes().items():
        assert name.startswith(("gan_aug.models.gans.", "gan_aug.models.networks."))
        assert issubclass(kind, nn.Module)
        assert not issubclass(kind, ImageClassifier)
    assert {name.rpartition(".")[2] for name in known_sources()} == {
        "ChestXray", "Folder", "Phantom", "MedMNIST",
    }  # fmt: skip


def test_stored_text_is_not_resolved() -> None:
    for node in ({"a": ["x", {"b": "${oc.env:HOME}"}]}, ["${x}"], {"${y}": 1}, {"a": "???"}):
        with pytest.raises(GanAugError, match="FILE"):
            check_plain(node, "FILE")
    check_plain({"a": ["x", 1, None, {"b": 2.0}], "$": "{"}, "FILE")


def test_a_sound_checkpoint_gives_its_gan(home: Path) -> None:
    path = home / "gan" / "checkpoints" / "last.ckpt"
    one, other = load_gan(path), load_gan(path.with_name("generator.safetensors"))
    assert isinstance(one.gan, DCGAN)
    assert one.origin.train_class == "pneumonia"
    assert (one.origin, one.checkpoint_sha256) == (other.origin, other.checkpoint_sha256)
    assert one.checkpoint_sha256 == sha256_of(path)
    state = torch.load(path, weights_only=True)["state_dict"]
    for gan in (one.gan, other.gan):
        assert all(torch.equal(state[name], t) for name, t in gan.lasting_state().items())


def nan_weights(content: dict[str, Any]) -> None:
    for tensor in content["state_dict"].values():
        if tensor.is_floating_point():
            tensor.fill_(float("nan"))


def of_kind(kind: torch.dtype) -> Callable[[dict[str, Any]], object]:
    def change(content: dict[str, Any]) -> None:
        state = content["state_dict"]
        name = next(n for n in state if n[:4] == "ema_" and n.endswith(".weight"))
        state[name] = state[name].to(kind)

    return change


def narrower(content: dict[str, Any]) -> None:
    for player in ("generator", "discriminator"):
        config_of(content)["model"]["module"][player]["width"] = 2


DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "nan weights": (nan_weights, "holds weights that are not finite"),
    "another width": (narrower, "its weights are of other networks"),
    "a missing weight": (
        lambda c: c["state_dict"].pop("ema_generator.layers.0.weight"), "is missing"),
    "no state": (lambda c: c.pop("state_dict"), "is not a checkpoint"),
    "no origin": (lambda c: c["gan_aug"].pop("origin"), "origin: model: field"),
    "nothing seen": (
        lambda c: c["gan_aug"]["origin"].update(seen_hashes=[]), "seen_hashes"),
    "huge networks": (
        lambda c: config_of(c)["model"]["module"]["generator"].update(width=30_000),
        "its weights are of other networks"),
    "a classifier": (
        lambda c: config_of(c)["model"].update(kind="classifier"), "generates nothing"),
    "text": (lambda c: config_of(c)["model"].update(module="x"), "is not a checkpoint"),
    "a class that leads elsewhere": (
        lambda c: c["gan_aug"]["origin"].update(
            classes=["normal", "../x"], train_class="../x", makes={"../x": []}), "name a class"),
    "other classes than it makes": (
        lambda c: c["gan_aug"]["origin"].update(makes={"normal": []}), "classes, makes"),
    "no class": (lambda c: c["gan_aug"]["origin"].update(makes={}), "classes, makes"),
    "bool weights": (of_kind(torch.bool), "is of torch.bool"),
    "complex weights": (of_kind(torch.complex64), "is of torch.complex64"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_what_a_checkpoint_lacks_is_named(name: str, home: Path, tmp_path: Path) -> None:
    edit, part = DAMAGES[name]
    path = changed(home, tmp_path, edit)
    with pytest.raises(GanAugError) as caught:
        load_gan(path)
    assert part in str(caught.value)
    assert str(caught.value).startswith(f"checkpoint={path}: ")
    assert "\n" not in str(caught.value)


def flip(path: Path, place: int) -> None:
    """Flip one bit."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def inside_a_weight(path: Path) -> int:
    """Return a place in the middle of the largest part of a checkpoint."""
    with zipfile.ZipFile(path) as archive:
        part = max(archive.infolist(), key=lambda info: info.file_size)
        return part.header_offset + 200 + part.file_size // 2


def test_one_flipped_bit_is_found_wherever_it_is(home: Path, tmp_path: Path) -> None:
    """In a weight it is always found; elsewhere it is found, or changes nothing that is read."""
    sound = home / "gan" / "checkpoints" / "last.ckpt"
    path = tmp_path / "flipped.ckpt"
    shutil.copy(sound, path)
    flip(path, inside_a_weight(path))
    with pytest.raises(GanAugError, match=r"is damaged \(its part .* fails its CRC\)"):
        read_checkpoint(path)
    state = torch.load(sound, weights_only=True)["state_dict"]
    size = sound.stat().st_size
    refused = 0
    for place in range(size // 120, size, size // 60):
        shutil.copy(sound, path)
        flip(path, place)
        try:
            found = read_checkpoint(path)["state_dict"]
        except GanAugError:
            refused += 1
        else:
            assert all(torch.equal(state[name], found[name]) for name in state)
    assert refused > 40


def test_generate_refuses_a_damaged_checkpoint_and_names_the_one_before(
    home: Path, command: Command, tmp_path: Path
) -> None:
    shutil.copytree(home / "gan" / "checkpoints", tmp_path / "checkpoints")
    last = tmp_path / "checkpoints" / "last.ckpt"
    flip(last, inside_a_weight(last))
    previous = last.with_name("previous.ckpt")
    result = command("generate", f"checkpoint={last}", "output_dir=made")
    assert_one_line(result, "last.ckpt: is damaged", str(previous))
    assert not (tmp_path / "made").exists()
    result = command("generate", f"checkpoint={previous}", "output_dir=made", "count=3")
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "made").glob("*/*.png"))) == 3


def interrupted(home: Path, folder: Path) -> Path:
    """Copy the run as if it had been stopped before its end."""
    run = folder / "gan"
    shutil.copytree(home / "gan", run)
    shutil.rmtree(run / "synthetic")
    (run / "metrics.json").unlink()
    rewrite(run / "run.json", status="running")
    return run


@pytest.mark.parametrize("how", ["flipped", "gone", "nan"])
def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(
    how: str, home: Path, command: Command, tmp_path: Path
) -> None:
    run = interrupted(home, tmp_path)
    last = run / "checkpoints" / "last.ckpt"
    if how == "flipped":
        flip(last, inside_a_weight(last))
    elif how == "nan":
        shutil.move(changed(home, tmp_path, nan_weights), last)
    else:
        last.unlink()
    victim = tmp_path / "victim"
    for name in ("train.log", "hparams.yaml", ".run.json.tmp", "checkpoints/.last.ckpt.tmp"):
        (run / name).symlink_to(victim)  # writing through any of them would make it
    result = command("train", *GAN, "hydra.run.dir=gan")
    assert result.returncode == 0, result.stderr
    assert not victim.exists()
    warned = [x for x in result.stderr.splitlines() if x.startswith("warning: ")]
    assert len(warned) == (how != "gone")
    assert all("last.ckpt" in x and "going on from" in x for x in warned)
    assert (run / "checkpoints" / "damaged.ckpt").exists() == (how != "gone")
    sound, again = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (home / "gan", run)
    )
    assert all(torch.equal(sound[name], again[name]) for name in sound)
    rows = [(f / "metrics.csv").read_text().splitlines() for f in (home / "gan", run)]
    kept = [[r for r in of_run if "images_per_second" not in r] for of_run in rows]
    assert kept[0] == kept[1]


def test_a_run_without_a_sound_checkpoint_is_refused_and_kept(
    home: Path, command: Command, tmp_path: Path
) -> None:
    run = interrupted(home, tmp_path)
    for name in ("last", "previous"):
        path = run / "checkpoints" / f"{name}.ckpt"
        path.write_bytes(path.read_bytes()[:1000])
    result = command("train", *GAN, "hydra.run.dir=gan")
    assert_one_line(result, "last.ckpt: is damaged", f"remove {run} to start again")
    assert (run / "checkpoints" / "last.ckpt").stat().st_size == 1000


def test_rows_that_metrics_csv_lost_are_told(home: Path, command: Command, tmp_path: Path) -> None:
    run = interrupted(home, tmp_path)
    path = run / "metrics.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 2])[:-4])
    result = command("train", *GAN, "hydra.run.dir=gan")
    assert result.returncode == 0, result.stderr
    lost = read_json(run / "run.json")["metrics_csv_rows_lost"]
    assert lost > 0
    (warned,) = [x for x in result.stderr.splitlines() if x.startswith("warning: ")]
    assert f"metrics.csv: was damaged, {lost} rows" in warned
    assert len(path.read_text().splitlines()) == len(lines) - lost
