"""A GAN that travels: what may come from anyone is checked before it costs anything."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gan_training import GANS, build, made_by, request, settings, train
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from support import ORIGIN

from gan_aug.data.origin import Origin
from gan_aug.models import restore
from gan_aug.models.restore import NAME, SavedGAN, load_gan, rebuild_gan, write_shared
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import sha256_of


def share(model: str, folder: Path, *overrides: str) -> tuple[Any, Any, Path]:
    """Return the settings, the GAN and the file of one that was trained for a step or two."""
    cfg = settings(model, *overrides)
    gan = build(cfg)
    train(cfg, gan, gan.d_steps)
    own = {"train_class": cfg.data.train_class, "classes": list(cfg.data.classes)}
    facts = ORIGIN | own | {"model": model, "makes": made_by(cfg)}
    origin = Origin(**{name: facts[name] for name in Origin.model_fields})
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    path = folder / NAME
    write_shared(path, SavedGAN(gan.eval(), origin, config, "c" * 64))
    return cfg, gan, path


@pytest.mark.parametrize("model", GANS)
def test_a_gan_is_the_same_from_what_travels_and_from_a_checkpoint(
    model: str, tmp_path: Path
) -> None:
    cfg, gan, path = share(model, tmp_path)
    saved = load_gan(path)
    again, origin, config = saved.gan, saved.origin, saved.config
    assert type(again) is type(gan)
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    by_checkpoint = rebuild_gan(plain, gan.state_dict(), "a test")
    for name in made_by(cfg):
        here, *there = (g.synthesise(*request(cfg, name, 4)) for g in (gan, again, by_checkpoint))
        assert all(torch.equal(here, made) for made in there)
        label = origin.classes.index(name)
        assert torch.equal(*(g.critic(label).eval()(here) for g in (gan, again)))
    assert (config["data"]["name"], config["quality"]["select"]) == ("phantom", None)
    assert saved.checkpoint_sha256 == "c" * 64
    stored = load_file(path)
    assert not [name for name in stored if name.startswith(("generator.", "augment.", "pools."))]
    assert path.with_suffix(".json").stat().st_size < 5000


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return share("dcgan", tmp_path_factory.mktemp("shared"))[2]


@pytest.fixture(scope="module")
def cyclegan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return share("cyclegan", tmp_path_factory.mktemp("cyclegan"))[2]


def changed(
    sound: Path,
    folder: Path,
    describe: Callable[[dict[str, Any]], object] = lambda d: None,
    weigh: Callable[[dict[str, Any]], object] = lambda w: None,
) -> Path:
    """Write a GAN that differs from the sound one, with a hash that fits."""
    path = folder / NAME
    weights = load_file(sound)
    weigh(weights)
    save_file(weights, path)
    described = json.loads(sound.with_suffix(".json").read_text())
    described["weights_sha256"] = sha256_of(path)
    describe(described)
    path.with_suffix(".json").write_text(json.dumps(described))
    return path


def module_of(described: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = described["model"]["module"]
    return found


def as_kind(kind: torch.dtype) -> Callable[[dict[str, Any]], object]:
    def change(weights: dict[str, Any]) -> None:
        name = next(name for name in weights if name.endswith(".weight"))
        weights[name] = weights[name].to(kind)

    return change


def without_end(weights: dict[str, Any]) -> None:
    del weights[max(weights)]


DESCRIBED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a huge width": (lambda d: module_of(d)["generator"].update(width=10**9), "width=1000000000"),
    "a large width": (lambda d: module_of(d)["generator"].update(width=4000), "of other networks"),
    "huge images": (
        lambda d: module_of(d)["generator"].update(image_size=2**30), "is not data.image_size"),
    "huge data": (lambda d: d["data"].update(image_size=2**30), "image_size=1073741824: must be"),
    "latents that never end": (lambda d: module_of(d).update(truncation=1e-30), "truncation=1e-30"),
    "a number beyond all": (lambda d: module_of(d).update(truncation=10**400), "truncation=1000"),
    "a program": (
        lambda d: module_of(d).update(generator={"_target_": "os.system", "command": "true"}),
        "none of gan_aug's classes"),
    "pretrained weights": (
        lambda d: module_of(d).update(discriminator={
            "_target_": "gan_aug.models.networks.timm.TimmClassifier", "name": "resnet18",
            "image_size": 32, "channels": 1, "classes": 1, "pretrained": True, "weights": None}),
        "none of gan_aug's classes"),
    "a path to weights": (
        lambda d: d["model"].update(module={
            "_target_": "gan_aug.models.networks.resnet.ResNet18", "channels": 1, "classes": 2,
            "pretrained": False, "weights": "/etc/passwd"}), "none of gan_aug's GANs"),
    "an interpolation": (lambda d: d["model"].update(name="${oc.env:HOME}"), "no plain value"),
    "something missing": (lambda d: d["data"].update(fit="???"), "no plain value"),
    "no classes": (lambda d: d["origin"].update(makes={}), "classes, makes"),
    "a class that leads elsewhere": (
        lambda d: d["origin"].update(classes=["../x", "b"], train_class="../x", makes={"../x": []}),
        "='../x': must name a class"),
    "nothing seen": (lambda d: d["origin"].update(seen_hashes=[]), "seen_hashes"),
    "another discriminator": (
        lambda d: module_of(d)["discriminator"].update(
            _target_="gan_aug.models.gans.fastgan.Discriminator"), "cannot be built"),
    "another format": (lambda d: d.update(format=2), "of format 2"),
    "no model": (lambda d: d.pop("model"), "model: field required"),
    "another hash": (lambda d: d.update(weights_sha256="0" * 64), "is not the file"),
}  # fmt: skip
WEIGHED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "bool weights": (as_kind(torch.bool), "is of BOOL"),
    "complex weights": (as_kind(torch.complex64), "is of C64"),
    "half precision": (as_kind(torch.float16), "is of torch.float16, not of torch.float32"),
    "a missing weight": (without_end, "is missing"),
    "one too many": (lambda w: w.update(more=torch.zeros(1)), "is no weight of it"),
    "not finite": (lambda w: w[max(w)].fill_(float("nan")), "are not finite"),
}


@pytest.mark.parametrize("name", [*DESCRIBED, *WEIGHED])
def test_what_a_gan_that_travels_must_not_be(name: str, sound: Path, tmp_path: Path) -> None:
    edit, part = DESCRIBED.get(name) or WEIGHED[name]
    path = changed(sound, tmp_path, **{"describe" if name in DESCRIBED else "weigh": edit})
    started = time.monotonic()
    with pytest.raises(GanAugError) as caught:
        load_gan(path)
    assert time.monotonic() - started < 5
    assert part in str(caught.value)
    assert str(caught.value).startswith(f"checkpoint={path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["blocks", "pool"])
def test_a_network_without_an_end_is_not_built(key: str, cyclegan: Path, tmp_path: Path) -> None:
    def edit(described: dict[str, Any], value: int = 10**9) -> None:
        module = module_of(described)
        (module["generator"] if key == "blocks" else module)[key] = value

    with pytest.raises(GanAugError, match=rf"{key}=1000000000: must be a whole number"):
        load_gan(changed(cyclegan, tmp_path, edit))
    if key == "blocks":  # within the range, and more than the weights are of
        with pytest.raises(GanAugError, match=r"has more than \d+ parts|of other networks"):
            load_gan(changed(cyclegan, tmp_path, lambda d: edit(d, 64)))


def test_what_the_weights_do_not_hold_is_bounded(
    cyclegan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_gan(cyclegan)
    monkeypatch.setattr(restore, "MOST_NUMBERS", 1000)
    with pytest.raises(GanAugError, match=r"asks for \d+ numbers beside its weights"):
        load_gan(cyclegan)


def test_networks_are_not_built_beyond_what_the_weights_are_of() -> None:
    from gan_aug.models.gans.cyclegan import Generator
    from gan_aug.models.rebuild import at_most

    with pytest.raises(ValueError, match="more than 500 parts"), at_most(500):
        Generator(1, 1, 10**9)
    with at_most(500):
        Generator(1, 1, 2)
    Generator(1, 1, 64)  # not bounded any more


def test_weights_of_another_size_than_their_header_says(sound: Path, tmp_path: Path) -> None:
    path = changed(sound, tmp_path)
    whole = path.read_bytes()
    for content in (whole[:-4], whole + b"0000", b"\xff" * 8 + whole[8:], b"", b"PK\3\4"):
        path.write_bytes(content)
        with pytest.raises(GanAugError, match="is damaged or not a file of weights"):
            load_gan(path)
    with path.open("wb") as file:
        file.truncate(30 * 10**9)
    with pytest.raises(GanAugError, match="30000000000 bytes, at most"):
        load_gan(path)


def test_a_gan_without_its_description(sound: Path, tmp_path: Path) -> None:
    path = changed(sound, tmp_path)
    path.with_suffix(".json").unlink()
    with pytest.raises(GanAugError, match=r"lacks generator\.json beside it"):
        load_gan(path)
    with pytest.raises(GanAugError, match="no such file"):
        load_gan(tmp_path / "other.safetensors")
