"""Which classes a GAN is fitted on, makes, and makes them from."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from support import refused, settings_of

from gan_aug.runtime.errors import GanAugError
from gan_aug.settings import class_facts
from gan_aug.settings.class_facts import class_constants, classes_made

CLASSES = ["normal", "bacteria", "virus"]
GANS = {
    "dcgan": "dcgan.DCGAN", "pix2pix": "pix2pix.Pix2Pix", "cdcgan": "cdcgan.CDCGAN",
    "stargan": "stargan.StarGAN", "cyclegan": "cyclegan.CycleGAN",
}  # fmt: skip


def made_by(
    gan: str, train_class: str | None = None, pair: Any = None, classes: Any = CLASSES
) -> dict[str, list[str]]:
    module = {"_target_": f"gan_aug.models.gans.{GANS[gan]}"}
    model = {"kind": "gan", "name": "x", "module": module, "pair": pair}
    return classes_made(model, train_class, classes)


@pytest.mark.parametrize(
    ("gan", "train_class", "made"),
    [
        ("dcgan", "bacteria", {"bacteria": []}),
        ("pix2pix", "bacteria", {"bacteria": ["normal", "virus"]}),
        ("cdcgan", None, {"normal": [], "bacteria": [], "virus": []}),
        ("stargan", None, {"normal": ["bacteria", "virus"], "bacteria": ["normal", "virus"],
                           "virus": ["normal", "bacteria"]}),
        ("cyclegan", None, {"virus": ["normal"], "normal": ["virus"]}),  # not from the third class
    ],
)  # fmt: skip
def test_what_is_made_and_from_what(
    gan: str, train_class: str | None, made: dict[str, list[str]]
) -> None:
    found = made_by(gan, train_class, ["virus", "normal"])
    assert found == made
    assert list(found) == list(made)  # the order of batches, of two classes their halves


def test_two_classes_need_no_pair() -> None:
    found = made_by("cyclegan", classes=CLASSES[:2])
    assert found == {"normal": ["bacteria"], "bacteria": ["normal"]}


@pytest.mark.parametrize(
    "pair", [None, ["normal"], ["normal", "normal"], ["normal", "cat"], CLASSES]
)
def test_a_pair_that_is_none_is_refused(pair: Any) -> None:
    with pytest.raises(GanAugError, match=r"model\.pair=.*model=x translates.*\[normal,bacteria\]"):
        made_by("cyclegan", pair=pair)


@pytest.mark.parametrize(
    ("gan", "train_class", "said"),
    [
        ("dcgan", None, "data.train_class=null: .*normal or bacteria or virus"),
        ("cyclegan", "virus", "data.train_class=virus: .*two classes at once"),
        ("stargan", "virus", "data.train_class=virus: .*all classes at once"),
    ],
)
def test_a_gan_of_one_class_alone_must_be_told_which(
    gan: str, train_class: str | None, said: str
) -> None:
    with pytest.raises(GanAugError, match=said):
        made_by(gan, train_class, ["normal", "virus"])


def test_a_class_is_read_without_being_imported() -> None:
    found = class_constants("gan_aug.models.gans.pggan.PGGAN")  # of GAN, three classes above
    assert (found["FITTED_ON"], found["TRANSLATES"], found["MIN_SIZE"]) == ("one", False, 32)
    assert class_constants("gan_aug.models.gans.cyclegan.CycleGAN")["TRANSLATES"] is True
    assert class_constants("gan_aug.models.networks.cnn.SmallCNN")["MIN_SIZE"] == 8


@pytest.mark.parametrize(
    ("imports", "base"),
    [
        ("from gan_aug.models.gans.cyclegan import CycleGAN", "CycleGAN"),
        ("from gan_aug.models.gans.cyclegan import CycleGAN as Other", "Other"),
        ("from gan_aug.models.gans import cyclegan", "cyclegan.CycleGAN"),
        ("import gan_aug.models.gans.cyclegan", "gan_aug.models.gans.cyclegan.CycleGAN"),
        ("import gan_aug.models.gans.cyclegan as c", "c.CycleGAN"),
        ("import gan_aug\nclass Own(gan_aug.models.gans.cyclegan.CycleGAN): pass", "Own"),
    ],
)
def test_a_class_inherits_however_its_parent_is_imported(
    imports: str, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "gan_aug.models.gans.x"
    tree = ast.parse(f"{imports}\nclass X({base}):\n    MIN_SIZE: int = 64\n")
    parsed = class_facts._parsed
    monkeypatch.setattr(class_facts, "_parsed", lambda m: tree if m == own else parsed(m))
    constants = class_constants.__wrapped__(f"{own}.X")
    class_constants.cache_clear()
    assert (constants["FITTED_ON"], constants["MIN_SIZE"]) == ("two", 64)


def test_a_file_that_is_no_python_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "models" / "networks" / "x.py"
    file.parent.mkdir(parents=True)
    file.write_text("class X:\n    def f(self:\n")
    monkeypatch.setattr(class_facts, "__file__", str(tmp_path / "settings" / "class_facts.py"))
    with pytest.raises(
        GanAugError, match=r"networks/x\.py: is no Python \(.*\(x.py, line 2\)\); mend it"
    ):
        class_constants.__wrapped__("gan_aug.models.networks.x.X")


@pytest.mark.parametrize(
    "target",
    ["os.system", "gan_aug.models.networks.cnn.SmallCNN", "gan_aug.models.gans.dcgan.WGAN",
     "gan_aug.models.gans.x.X", "gan_aug.models",
     "gan_aug.models.gans.../run/errors.GanAugError", "x" * 10_000, ""],
)  # fmt: skip
def test_a_class_that_is_none_is_refused(target: str) -> None:
    model = {"name": "x", "kind": "gan", "module": {"_target_": target}}
    with pytest.raises(GanAugError, match=r"model.module._target_=.*: is none of gan_aug's GANs"):
        classes_made(model, None, CLASSES)


def test_a_network_that_no_checkpoint_may_name_is_refused_before_training() -> None:
    for overrides in (("study", "+study=seed_protocol"), ("train", "model=cyclegan")):
        with refused("model.module.generator._target_=mine.Net", "none of gan_aug's networks"):
            settings_of(*overrides, "data=phantom", "model.module.generator._target_=mine.Net")
