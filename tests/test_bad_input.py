"""Every bad input gives one clear line through the command line, fast, and loses nothing."""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.errors import HydraException
from odd_files import png
from omegaconf.errors import OmegaConfBaseException
from support import (
    TINY_CNN,
    TINY_DATA,
    TINY_GAN,
    assert_one_line,
    composed,
    environment,
    read_json,
    refused,
    run_command,
    settings_of,
    start,
    write_image,
)

from gan_aug import generate
from gan_aug.data.prepare import load, print_data
from gan_aug.data.settle import settle_training
from gan_aug.runtime.arguments import for_hydra
from gan_aug.runtime.command_line import message_of
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.base import Plain
from gan_aug.settings.commands import TrainSettings
from gan_aug.settings.whole import validate

Command = Callable[..., Any]
SMALL = ("data.val_per_class=4", "data.batch_size=8", "data.subset.normal=16")
XRAYS = (
    *("+experiment=cnn_baseline", *SMALL),
    *("data.development_per_class=0", "data.subset.pneumonia=16", "trainer.max_epochs=1"),
)


def settle(arguments: Sequence[str]) -> Plain:
    """Do what the command does before it trains; return what run.json would hold of the data."""
    settings = validate(composed("train", *for_hydra([*arguments], "")), TrainSettings)
    settled, prepared = settle_training(settings, load(settings.data))
    print_data(settled.data, prepared)
    return prepared.splits.notes


def refusal(*arguments: str) -> str:
    """Return what the command says of arguments that it refuses, in this process."""
    with pytest.raises((GanAugError, HydraException)) as caught:
        settle(arguments)
    return message_of(caught.value)


def assert_refused(arguments: Sequence[str], parts: Sequence[str]) -> None:
    """One line that holds `parts`."""
    (line,) = refusal(*arguments).splitlines()
    for part in parts:
        assert part in line


@pytest.fixture(autouse=True)
def _cache(cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


REFUSED = [
    (["model.d_steps=0"], ["model.d_steps=0", "whole number from 1"]),
    (["model.lrr=1"], ["model.lrr=1", "no such setting; model has"]),
    (["trainer=tpu"], ["trainer=tpu", "cpu", "gpu"]),
    (["data.subset.pneumonia=5000"], ["data.subset.pneumonia=5000", "only"]),
    (["data.train_class=null"], ["data.train_class", "normal or pneumonia"]),
    (["data.train_class=cat"], ["data.train_class=cat"]),
    (["data.val_per_class=5000"], ["data.val_per_class=5000"]),
    (["data.development_per_class=5000"], ["data.development_per_class=5000"]),
    (["data.synthetic.count=5"], ["data.synthetic.count=5", "data.synthetic.dir"]),
    (["modle=dcgan"], ["modle=dcgan", "did you mean model?"]),
    (["+model.widht=8"], ["model.widht=8", "no such setting", "did you mean model.width?"]),
    (["+generate.cuont=8"], ["generate.cuont=8", "did you mean generate.count?"]),
    (["+data.zzz=8"], ["data.zzz=8", "no such setting; data has", "image_size"]),
    (["+sede=8"], ["sede=8", "did you mean seed?"]),
    (["data=nonsense"], ["data=nonsense", "phantom", "chest_xray", "pneumoniamnist"]),
    (["+experiment=nonsense"], ["experiment=nonsense", "dcgan_pneumonia"]),
    (
        ["+arm@arms.a/b=gan"],
        [
            "arms.a/b is no name of a setting (an arm's names files, and holds no /); write "
            "+arm@arms.a_b=gan"
        ],
    ),
    (["model.lr_g=-1"], ["model.lr_g=-1", "above 0"]),
    (["model.lr_d=fast"], ["model.lr_d=fast", "above 0"]),
    (["model.loss=logistic"], ["model.loss=logistic", "hinge"]),
    (["data.image_size=48"], ["data.image_size=48", "powers of two from 32"]),
    (["data.image_size=16"], ["data.image_size=16", "powers of two from 32"]),
    (["data.channels=2"], ["data.channels=2", "1, 3"]),
    (["data.batch_size=abc"], ["data.batch_size=abc"]),
    (["data.on_bad_file=ignore"], ["data.on_bad_file=ignore", "error, skip"]),
    (["trainer.max_epochs=0"], ["trainer.max_epochs=0"]),
    (["seed=-1"], ["seed=-1"]),
    (["seed=5000000000"], ["seed=5000000000"]),
    (["data.source.seed=-1"], ["data.source.seed=-1"]),
    (["trainer.devices=2"], ["trainer.devices=2", "one of 1"]),
    (["data.synthetic.dir=x"], ["data.synthetic.dir=x", "real images only"]),
    (["model.balanced=true"], ["model.balanced=true", "fitted on one of the classes"]),
    (
        ["model.loss=wasserstein", "model.real_label=1"],
        ["model.loss=wasserstein", "bounds the slope"],
    ),
]


@pytest.mark.parametrize(("overrides", "parts"), REFUSED, ids=lambda v: str(v[0])[:40])
def test_settings_that_are_refused(overrides: list[str], parts: list[str]) -> None:
    """In this process; what a command makes of them is in test_status.py."""
    assert_refused([*TINY_GAN, *overrides], parts)


def test_what_the_networks_alone_know_is_refused_too(command: Command) -> None:
    result = command("train", *TINY_GAN, "model.loss=hinge")
    assert_one_line(result, "model.real_label=0.9", "model.real_label=1")


def test_a_size_that_phantoms_cannot_have() -> None:
    assert_refused([*TINY_CNN, "data.image_size=8"], ["data.image_size=8", "16"])


def test_experiment_that_needs_a_synthetic_set() -> None:
    assert_refused(["+experiment=cnn_gan_aug", *TINY_DATA], ["data.synthetic.dir"])


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        ([], ["data.root", "data.download=true", "data=phantom"]),
        (["data.root=nowhere"], ["data.root=nowhere", "no such folder"]),
        (["data.root=."], ["data.root=.", "train/ and test/"]),
        (
            ["data=pneumoniamnist", "data.root=."],
            ["pneumoniamnist_64.npz", "data.download=true"],
        ),
    ],
    ids=["absent", "missing", "empty", "mnist_file"],
)
def test_no_data_never_means_other_data(
    overrides: list[str], parts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(["+experiment=cnn_baseline", *overrides], parts)


def test_download_is_tried_when_asked(tmp_path: Path, cache_home: Path) -> None:
    """Up to the call: an unreachable proxy closes the network."""
    proxies = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    closed = dict.fromkeys(proxies, "http://127.0.0.1:9") | {"no_proxy": "", "NO_PROXY": ""}
    result = run_command(
        cache_home, "train", "+experiment=cnn_baseline", "data.download=true",
        cwd=tmp_path, KAGGLEHUB_CACHE=str(tmp_path / "hub"), **closed,
    )  # fmt: skip
    assert_one_line(result, "kagglehub", "data.root")


def break_file(path: Path, how: str) -> None:
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:300])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "not an image":
        path.write_text("hello")
    elif how == "bomb":
        path.write_bytes(png((60_000, 60_000, 8, 0), b"\0"))
    elif how == "large":  # Pillow only warns of this size
        path.write_bytes(png((12_000, 9_000, 8, 0), b"\0"))
    elif how == "dangling link":
        path.unlink()
        path.symlink_to("nowhere.jpeg")
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "fifo":
        path.unlink()
        os.mkfifo(path)


BROKEN = ["fifo", "truncated", "empty", "not an image", "bomb", "large", "dangling link", "folder"]


@pytest.mark.parametrize("how", BROKEN)
def test_bad_file_is_named(how: str, command: Command, kaggle_folder: Path) -> None:
    bad = kaggle_folder / "train" / "PNEUMONIA" / "person3_bacteria_3.jpeg"
    break_file(bad, how)
    arguments = ["+experiment=cnn_baseline", f"data.root={kaggle_folder}", *SMALL]
    if how == "fifo":  # which would be waited for
        assert_one_line(command("train", *arguments), str(bad), "data.on_bad_file=skip")
    else:
        assert_refused([*arguments], [str(bad), "data.on_bad_file=skip"])


def test_bad_files_can_be_skipped_and_are_listed(command: Command, kaggle_folder: Path) -> None:
    names = [f"person{i}_bacteria_{i}.jpeg" for i in (1, 3)]
    for name, how in zip(names, ("truncated", "empty"), strict=True):
        break_file(kaggle_folder / "train" / "PNEUMONIA" / name, how)
    result = command(
        "train", *XRAYS, f"data.root={kaggle_folder}", "data.on_bad_file=skip", "hydra.run.dir=run"
    )
    assert result.returncode == 0, result.stderr
    assert "files not read: 2 (bad files, skipped)" in result.stdout
    data = read_json(kaggle_folder.parent / "run" / "run.json")["data"]
    assert sorted(data["bad_files_skipped"]) == [f"train/PNEUMONIA/{name}" for name in names]
    assert data["available"]["train"] == {"normal": 24, "pneumonia": 22}
    # The cache remembers the bad files: without `skip` they are an error again.
    again = command("train", "+experiment=cnn_baseline", f"data.root={kaggle_folder}", *SMALL)
    assert_one_line(again, names[0], "1 more bad file")


def test_one_image_in_two_classes(kaggle_folder: Path) -> None:
    shutil.copy(
        kaggle_folder / "train" / "NORMAL" / "IM-0003-0001.jpeg",
        kaggle_folder / "train" / "PNEUMONIA" / "person99_virus_1.jpeg",
    )
    arguments = ["+experiment=cnn_baseline", f"data.root={kaggle_folder}", *SMALL]
    parts = ("person99_virus_1.jpeg", "IM-0003-0001.jpeg", "two classes", "data.on_conflict=drop")
    assert_refused(arguments, parts)


def test_a_run_folder_with_other_settings_is_left_alone(command: Command, tmp_path: Path) -> None:
    arguments = [*TINY_CNN, "trainer.max_epochs=1", "hydra.run.dir=run"]
    assert command("train", *arguments).returncode == 0
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    result = command("train", *arguments, "model.lr=0.01")
    assert_one_line(result, "model.lr: 0.001 then, 0.01 now")
    assert {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()} == before


def test_somebody_elses_run_json_is_left_alone(command: Command, tmp_path: Path) -> None:
    (tmp_path / "runs" / "x").mkdir(parents=True)
    (tmp_path / "runs" / "x" / "run.json").write_text("hello")
    result = command("train", *TINY_CNN, "resume=true")
    assert_one_line(result, "resume=true", "no run of this command")
    result = command("train", *TINY_CNN, "++resume=true")
    assert_one_line(result, "resume=true", "holds no run")
    result = command("train", *TINY_CNN, "hydra.run.dir=runs/x")
    assert_one_line(result, "runs/x/run.json", "cannot be read")
    assert (tmp_path / "runs" / "x" / "run.json").read_text() == "hello"


def test_a_diverged_classifier_keeps_no_bad_weights(command: Command, tmp_path: Path) -> None:
    result = command("train", *TINY_CNN, "model.lr=1e30", "hydra.run.dir=run")
    assert_one_line(result, "not finite")
    assert not list((tmp_path / "run").glob("checkpoints/*"))
    assert read_json(tmp_path / "run" / "run.json")["status"] == "failed"


@pytest.mark.parametrize(
    "value", ["/home/김=/x", "/a/it's", "/a=b", "/a{b", "/a(b)", 'say "a\\b"', "[a", "a}"]
)
def test_a_path_that_needs_quotes_is_told_how(value: str) -> None:
    """And what is told works, as the shell would pass it on."""
    line = refusal("+experiment=cnn_baseline", f"data.root={value}")
    assert line.startswith(f"data.root={value}: its value has letters that need quotes")
    (told,) = shlex.split(line.split("; type ")[1])
    assert composed("train", *for_hydra([told], "")).data.root == value


@pytest.mark.parametrize("value", ["/home/김/x", "흉부 X선", "../données", "데이터"])
def test_a_path_in_any_letters_needs_no_quotes(value: str) -> None:
    """Hydra's grammar has none but English ones."""
    assert composed("train", *for_hydra([f"data.root={value}"], "")).data.root == value


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("data.root= /x", "data.root=/x"),
        ("data.root = /x", "data.root=/x"),
        ("data.root=내 사진", "'data.root=내 사진'"),
        (
            "study.steps={max: 9, choose: validation} -m",
            "'study.steps={max: 9, choose: validation}'",
        ),
        ("data.root=my xrays", "'data.root=my xrays'"),
    ],
)
def test_a_value_with_spaces_is_told_how(typed: str, told: str) -> None:
    """A shell makes several arguments of it."""
    with pytest.raises(GanAugError, match="is no setting; write KEY=VALUE") as error:
        for_hydra(["+study=own", *typed.split()], "")
    assert str(error.value).endswith(f"; if it belongs together, type {told}")


def test_a_home_folder_and_dashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shells expand no ~ behind a KEY=."""
    monkeypatch.setenv("HOME", "/home/me")
    for typed in ("data.root=~/xrays", "data.root=~/흉부 사진"):
        root = composed("train", *for_hydra([typed], "")).data.root
        assert root == typed.replace("data.root=~", "/home/me")
    for home in ("C:\\Users\\me", "C:\\Users\\홍길동", "/home/o'neil", "/home/me,you"):
        monkeypatch.setenv("HOME", home)
        for name in ("xrays", "흉부 사진"):
            arguments = for_hydra([f"data.root=~/{name}"], "")
            assert composed("train", *arguments).data.root == f"{home}/{name}"
    with pytest.raises(GanAugError, match="a setting has no dashes: data.root=x"):
        for_hydra(["--data.root=x"], "")


def test_what_must_be_given_is_named(command: Command) -> None:
    assert_one_line(command("report"), "study_dir: is missing; type study_dir=VALUE")
    assert_one_line(command("train", "seed=range(0,2)"), "seed=range(0,2): several values need -m")
    result = command("study", "-m", "draw=0")
    assert_one_line(result, "arms: there are none; add +study=own for your own images")
    assert not result.stdout, "no empty table"


def test_what_is_no_setting() -> None:
    assert refusal("김=3").startswith("김=3: is no setting; write KEY=VALUE")
    with refused("unrecognized", "--draw", "--help"):
        for_hydra(["model=cnn", "--draw", "3"], "")


def test_names_that_are_not_read_as_utf8(tmp_path: Path, cache_home: Path) -> None:
    """Korean names were called damaged, with advice to rename them."""
    env = environment(cache_home) | {"LC_ALL": "C", "PYTHONUTF8": "0"}
    result = subprocess.run(
        [sys.executable, "-m", "gan_aug.inspect", "data.root=폐렴"],
        cwd=tmp_path, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert_one_line(result, "names of files for ascii", "set PYTHONUTF8=1")


def test_a_terminal_without_the_letters(tmp_path: Path, cache_home: Path) -> None:
    """In UTF-8 mode names are read; what they are printed as may have other letters."""
    for i in range(20):
        write_image(tmp_path / "x" / ("정상", "폐렴")[i % 2] / f"{i}.png", i)
    env = environment(cache_home) | {"PYTHONUTF8": "1", "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(
        [sys.executable, "-m", "gan_aug.inspect", "data.root=x", "hydra.run.dir=found"],
        cwd=tmp_path, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "\\uc815\\uc0c1" in result.stdout


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
    ],
)
def test_too_little_memory_is_said_so(error: Exception) -> None:
    message = message_of(error)
    assert message.startswith("not enough memory (")
    for part in ("data.batch_size", "ulimit -v"):
        assert part in message


def test_a_choice_that_is_none_of_a_group() -> None:
    message = refusal("data=Folder")
    assert message.startswith("data=Folder: is none of base, chest_xray, folder, ")
    assert message.endswith("; name one of them")


def test_memory_in_a_line_of_ours_is_none_of_it() -> None:
    line = "model.width=4096: would take more than the 3 GB; out of memory"
    assert message_of(GanAugError(line)) == line


@pytest.mark.parametrize("kind", ["gan", pytest.param("cnn", marks=pytest.mark.slow)])
def test_a_full_disk_is_named_and_recorded(kind: str, tmp_path: Path, cache_home: Path) -> None:
    settings = TINY_GAN if kind == "gan" else TINY_CNN
    arguments = [*settings, "trainer.max_epochs=1"]
    settle(arguments)  # images are in the cache by now
    process = start(cache_home, *arguments, "hydra.run.dir=run", cwd=tmp_path)
    limit = 30_000  # bytes of a file, as on a full disk; before it has written any so large
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    stdout, stderr = process.communicate()
    result = subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
    assert_one_line(result, str(tmp_path / "run"), "cannot be written", "File too large")
    record = read_json(tmp_path / "run" / "run.json")
    assert record["status"] == "failed"
    assert "cannot be written" in record["reason"]
    assert not list((tmp_path / "run").rglob("*.tmp"))


def test_a_folder_that_cannot_be_made_is_named(command: Command, tmp_path: Path) -> None:
    result = command("train", *TINY_CNN, "hydra.run.dir=/proc/nowhere/run")
    assert_one_line(result, "/proc/nowhere")
    (tmp_path / "file").write_text("")
    result = command("train", *TINY_CNN, "hydra.run.dir=file/run")
    assert_one_line(result, "file")


def test_a_log_that_cannot_be_written_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "run" / "train.log").mkdir(parents=True)
    result = command("train", *TINY_CNN, "hydra.run.dir=run", "hydra/job_logging=default")
    assert_one_line(result, "train.log: Is a directory", "repeat the command")


def test_a_failure_is_recorded_and_settings_are_printed_when_asked(
    command: Command, tmp_path: Path
) -> None:
    bad = (*TINY_CNN, "data.subset.normal=999")
    short = command("train", *bad, "hydra.run.dir=short")
    assert_one_line(short, "data.subset.normal=999")
    assert len(short.stdout.splitlines()) < 5
    record = read_json(tmp_path / "short" / "run.json")
    assert record["status"] == "failed"
    assert "data.subset.normal=999" in record["reason"]
    everything = command("train", *bad, "verbose=true", "hydra.run.dir=long")
    assert_one_line(everything, "data.subset.normal=999")
    assert "val_per_class: 10" in everything.stdout
    assert len(everything.stdout.splitlines()) > 80


def test_swapped_class_folders_are_warned_of_loudly(
    kaggle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "test"):
        folder = kaggle_folder / split
        (folder / "NORMAL").rename(folder / "x")
        (folder / "PNEUMONIA").rename(folder / "NORMAL")
        (folder / "x").rename(folder / "PNEUMONIA")
    notes = settle([*XRAYS, f"data.root={kaggle_folder}"])
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert [line.removeprefix("warning: ") for line in warned] == notes["warnings"]
    said = "24 of 24 files in train/NORMAL are named like the other class"
    assert warned[0].startswith(f"warning: {said}")
    assert len(warned) == 4


def test_traceback_on_request(tmp_path: Path, cache_home: Path) -> None:
    result = run_command(
        cache_home, "train", "+experiment=cnn_baseline", cwd=tmp_path, HYDRA_FULL_ERROR="1"
    )
    assert result.returncode != 0
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["output_dir=x"], ["checkpoint"]),
        (["checkpoint=none.ckpt", "output_dir=x"], ["checkpoint=none.ckpt", "no such file"]),
        (["checkpoint=text.ckpt", "output_dir=x"], ["text.ckpt", "not a checkpoint"]),
        (["checkpoint=text.ckpt", "output_dir=there"], ["output_dir=there", "exists already"]),
        (["checkpoint=text.ckpt", "output_dir=x", "count=0"], ["count=0", "from 1"]),
    ],
)
def test_generate(
    arguments: list[str], parts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.ckpt").write_text("hello")
    Path("there").mkdir()
    with pytest.raises((GanAugError, OmegaConfBaseException)) as caught:
        generate.main.task(settings_of("generate", *arguments))
    (line,) = message_of(caught.value).splitlines()
    for part in parts:
        assert part in line


def test_hidden_files_and_other_names_are_not_images(
    kaggle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real copy: nested, with __MACOSX, AppleDouble files, val/ and mixed extensions."""
    nested = kaggle_folder.parent / "copy" / "chest_xray" / "chest_xray"
    nested.parent.mkdir(parents=True)
    kaggle_folder.rename(nested)
    (nested.parent / "__MACOSX").mkdir()
    (nested / "train" / "NORMAL" / "._IM-0001-0001.jpeg").write_bytes(b"x")
    (nested / "train" / ".DS_Store").write_bytes(b"x")
    write_image(nested / "val" / "NORMAL" / "IM-9999-0001.jpeg", 900)
    write_image(nested / "train" / "NORMAL" / "IM-8888-0001.PNG", 901)
    write_image(nested / "train" / "NORMAL" / "IM-8889-0001.jpg", 902)
    notes = settle([*XRAYS, f"data.root={kaggle_folder.parent / 'copy'}"])
    said = capsys.readouterr().out
    assert "available for training: 26 normal, 24 pneumonia" in said
    assert "not read: 2 (hidden, or of the system); 1 (no .jpeg, .jpg or .png in" in said
    assert list(notes["files_skipped"]) == [
        "chest_xray/__MACOSX/",
        "chest_xray/chest_xray/train/.DS_Store",
        "chest_xray/chest_xray/train/NORMAL/._IM-0001-0001.jpeg",
        "chest_xray/chest_xray/val/",
    ]
