"""Names of run folders."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from gan_aug.runtime.folder_names import LONGEST, folder_name

LEFT_OUT = ("experiment", "callbacks*", "data.root")


def test_a_name_says_what_was_set_and_nothing_else() -> None:
    overrides = (
        "+experiment=dcgan_pneumonia", "data.root=/data/x", "callbacks.checkpoint.every=1",
        "model.lr_g=1e-4", "++data.subset.normal=40", "model.augment=null", "~logger.csv",
    )  # fmt: skip
    expected = "lr_g_0.0001+augment_null+csv_removed+normal_40"
    assert folder_name(overrides, LEFT_OUT) == expected
    assert folder_name(overrides, LEFT_OUT, "TIME") == f"TIME+{expected}"
    assert folder_name(overrides[:3], LEFT_OUT) == "0"
    assert folder_name(overrides[:3], LEFT_OUT, "TIME") == "TIME"


def test_equal_last_parts_get_their_whole_names() -> None:
    name = folder_name(["arms.a.weight=1", "arms.b.weight=2"], ())
    assert name == "arms.a.weight_1+arms.b.weight_2"


VALUES = (
    "'a b'", "a_b", "a-b", "a/b", "/a/b", "'흉부 사진'", "'흉부_사진'", "'x=1'", "'x,1'", "{a: 1}",
    "{a: 2}", "[1,2]", "[1,-2]", "-1", "1", "'1'", "true", "null", "'..'", "'a\\\\b'",
)  # fmt: skip


def test_names_are_legal_stable_and_unique() -> None:
    names = [folder_name([f"model.x={value}"], ()) for value in VALUES]
    same = {"1", "'1'"}  # Hydra sets the same either way
    assert len(set(names)) == len(VALUES) - len(same) + 1
    assert names == [folder_name([f"model.x={value}"], ()) for value in VALUES]
    for name in names:
        assert name.startswith("x_")
        assert not set(name) & set('/\\:*?"<>| \t\n')


@pytest.mark.parametrize("value", ["1e-5", "'a b'", "{a: 1}", "-1", "[1,2]", "x/y"])
def test_a_folder_can_be_named_on_the_command_line_without_quotes(value: str) -> None:
    name = folder_name([f"model.lr_g={value}", "model.d_steps=2"], (), "2026-01-01_10-00-00")
    path = f"runs/x/{name}/checkpoints/last.ckpt"
    (override,) = OverridesParser.create().parse_overrides([f"checkpoint={path}"])
    assert not override.is_sweep_override()
    assert override.value() == path


def test_long_names_are_cut_and_differ_still() -> None:
    names = [folder_name([f"model.x='{'흉' * 90}'", f"model.y={i}"], ()) for i in range(3)]
    assert len(set(names)) == 3
    assert all(len(name.encode()) <= LONGEST + 7 for name in names)
