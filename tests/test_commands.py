"""What README and docs/ say to type, in a small form."""

from __future__ import annotations

import os
import platform
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep
from support import (
    PAGES,
    ROOT,
    TINY_CNN,
    TINY_DATA,
    TINY_GAN,
    assert_one_line,
    composed,
    environment,
    read_json,
    rewrite,
    run_command,
    settings_of,
    start,
    wait_for,
)
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torchvision.datasets import ImageFolder

import gan_aug
from gan_aug import demo
from gan_aug.__main__ import COMMANDS
from gan_aug.__main__ import main as gan_aug_command
from gan_aug.runtime.arguments import for_hydra, with_list

Command = Callable[..., Any]
SHORT = "trainer.max_epochs=4"
IN_ONE_PROCESS = "hydra/launcher=basic"
"""A multirun whose jobs need no process each: 1 s less for a job."""


@pytest.fixture(scope="module")
def gan_run(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    folder = tmp_path_factory.mktemp("gan") / "run"
    run_command(
        cache_home, "train", *TINY_GAN, SHORT, f"hydra.run.dir={folder}",
        "model.sample_every_n_epochs=2", "trainer.log_every_n_steps=2",
        cwd=folder.parent, check=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def real_run(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> tuple[Path, str]:
    """A classifier on real images, and what its command printed."""
    folder = tmp_path_factory.mktemp("cnn") / "real"
    arguments = (*TINY_CNN, SHORT, f"hydra.run.dir={folder}")
    result = run_command(cache_home, "train", *arguments, cwd=folder.parent, check=True)
    return folder, result.stdout


def test_a_gan_run_holds_what_is_promised(gan_run: Path) -> None:
    record = read_json(gan_run / "run.json")
    assert record["status"] == "finished"
    assert record["seed"] == 0
    assert torch.__version__.startswith(record["versions"]["torch"])
    assert record["data"]["fingerprint"]
    assert record["seconds"] > 0
    assert record["command"][:3] == ["python", "-m", "gan_aug.train"]
    config = (gan_run / ".hydra" / "config.yaml").read_text()
    assert "image_size: 32" in config
    assert "${" not in config
    for name in ("metrics.json", "metrics.csv", "checkpoints/last.ckpt"):
        assert (gan_run / name).stat().st_size > 0
    assert [p.name for p in sorted((gan_run / "samples").iterdir())] == [
        "epoch_00002.png",
        "epoch_00004.png",
    ]
    events = EventAccumulator(str(gan_run)).Reload()
    assert {"loss/d", "loss/g", "score/D[x]", "stability/gradient_norm_g"} <= set(
        events.Tags()["scalars"]
    )
    assert len(events.Images("samples/left real, right generated")) == 2
    manifest = read_json(gan_run / "synthetic" / "manifest.json")
    assert manifest["count"] == {"pneumonia": 10}
    assert len(manifest["seen_hashes"]) == 36
    assert manifest["data_fingerprint"] == record["data"]["fingerprint"]
    assert len(ImageFolder(str(gan_run / "synthetic"))) == 10


def test_the_classifier_with_and_without_the_gan(
    gan_run: Path, real_run: tuple[Path, str], command: Command, tmp_path: Path
) -> None:
    mixed = command(
        "train", "+experiment=cnn_gan_aug", *TINY_CNN[1:], SHORT, "hydra.run.dir=mixed",
        f"data.synthetic.dir={gan_run / 'synthetic'}", "data.synthetic.count=8",
    )  # fmt: skip
    assert mixed.returncode == 0, mixed.stderr
    for folder, printed in (real_run, (tmp_path / "mixed", mixed.stdout)):
        metrics = read_json(folder / "metrics.json")
        for threshold in ("at_0.5", "at_validation_threshold"):
            assert 0 <= metrics["test"][threshold]["auroc"] <= 1
            counts = [metrics["test"][threshold][k] for k in ("tn", "fp", "fn", "tp")]
            assert sum(counts) == 30
        assert f"{metrics['test']['at_0.5']['accuracy']:.4f}" in printed
        assert (folder / "checkpoints" / "best.ckpt").exists()
        assert (folder / "confusion_matrix.png").exists()
        events = EventAccumulator(str(folder)).Reload()
        assert "test/confusion_matrix" in events.Tags()["images"]
    assert "synthetic images added to training: 8" in mixed.stdout
    batches = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["batches_done"]
        for folder in (real_run[0], tmp_path / "mixed")
    ]
    assert batches[0] == batches[1]


def test_a_set_that_does_not_fit_is_refused(gan_run: Path, command: Command) -> None:
    """In what else it may not fit: tests/data/test_synthetic.py."""
    result = command(
        "train", "+experiment=cnn_gan_aug", *TINY_CNN[1:],
        f"data.synthetic.dir={gan_run / 'synthetic'}", "data.synthetic.count=8", "draw=1",
    )  # fmt: skip
    assert_one_line(result, "error: data.synthetic.", "draw=1")


def test_generate_repeats_the_runs_own_set(gan_run: Path, command: Command, tmp_path: Path) -> None:
    files = {"same": "last.ckpt", "other": "last.ckpt", "shared": "generator.safetensors"}
    for name, file in files.items():
        checkpoint, seed = gan_run / "checkpoints" / file, int(name == "other")
        result = command(
            "generate", f"checkpoint={checkpoint}", "count=12", f"output_dir={name}", f"seed={seed}"
        )
        assert result.returncode == 0, result.stderr
    assert read_json(tmp_path / "same/manifest.json") == read_json(
        tmp_path / "shared/manifest.json"
    )
    own = read_json(gan_run / "synthetic" / "manifest.json")
    same, other = (read_json(tmp_path / name / "manifest.json") for name in ("same", "other"))
    assert own["files"].items() <= same["files"].items()
    assert len(same["files"]) == 12
    assert not set(same["files"].values()) & set(other["files"].values())
    assert same["checkpoint_sha256"] == own["checkpoint_sha256"]
    assert same["seen_hashes"] == own["seen_hashes"]


@pytest.mark.parametrize("arguments", [TINY_GAN, TINY_CNN], ids=["gan", "cnn"])
def test_the_same_command_gives_the_same_weights(
    arguments: tuple[str, ...], command: Command, tmp_path: Path
) -> None:
    states = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        settings = (*arguments, "trainer.max_epochs=1", "trainer.precision=auto", f"seed={seed}")
        result = command("train", *settings, f"hydra.run.dir={name}")
        assert result.returncode == 0, result.stderr
        path = tmp_path / name / "checkpoints" / "last.ckpt"
        states.append(torch.load(path, weights_only=True)["state_dict"])
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not all(torch.equal(states[0][key], states[2][key]) for key in states[0])


@pytest.mark.slow
def test_multirun_goes_on_past_a_failure_and_prints_a_table(
    command: Command, tmp_path: Path
) -> None:
    arguments = (*TINY_GAN, "trainer.max_epochs=1", "trainer.log_every_n_steps=1")
    swept = ("hydra.sweep.dir=sweep", "data.val_per_class=5000,10")
    result = command("train", "-m", *arguments, *swept)
    assert result.returncode != 0
    table = result.stdout[result.stdout.index("overrides") :]
    assert table.count("finished") == table.count("failed") == 1
    assert "loss/d" in table
    for n, status in ((5000, "failed"), (10, "finished")):
        assert read_json(tmp_path / "sweep" / f"val_per_class_{n}" / "run.json")["status"] == status
    assert "Traceback" not in result.stderr


def test_multirun_over_counts(
    gan_run: Path, real_run: tuple[Path, str], command: Command, tmp_path: Path
) -> None:
    """Of which 0 is the baseline."""
    result = command(
        "train", "-m", "+experiment=cnn_gan_aug", *TINY_CNN[1:], SHORT,
        "hydra.sweep.dir=sweep", IN_ONE_PROCESS,
        f"data.synthetic.dir={gan_run / 'synthetic'}", "data.synthetic.count=0,5",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "test_accuracy" in result.stdout
    for job, count in enumerate((0, 5)):
        assert f"data.synthetic.count={count}" in result.stdout
        record = read_json(tmp_path / "sweep" / f"count_{count}" / "run.json")
        assert record["config"]["data"]["synthetic"]["count"] == count
        assert record["job"] == job
    real, none = (f / "metrics.json" for f in (real_run[0], tmp_path / "sweep" / "count_0"))
    assert read_json(real)["test"] == read_json(none)["test"]


@pytest.mark.slow
def test_a_multirun_can_be_resumed(command: Command, tmp_path: Path) -> None:
    """Finished jobs are left alone, the others are done."""
    arguments = ("-m", *TINY_CNN, "trainer.max_epochs=1", "seed=0,1")
    assert command("train", *arguments).returncode == 0
    (sweep,) = tmp_path.glob("runs/cnn_baseline_multirun/*")
    rewrite(sweep / "seed_1" / "run.json", status="running")
    again = command("train", *arguments, "resume=true")
    assert again.returncode == 0, again.stderr
    assert "1 finished before, skipped" in again.stdout
    records = [read_json(sweep / f"seed_{seed}" / "run.json") for seed in (0, 1)]
    assert [record["status"] for record in records] == ["finished"] * 2
    assert records[1]["resumed"] == 1
    assert len([path for path in sweep.iterdir() if path.name.startswith("seed")]) == 2
    assert len(list(tmp_path.glob("runs/cnn_baseline_multirun/*"))) == 1


@pytest.mark.slow
def test_ctrl_c_leaves_a_run_to_resume(tmp_path: Path, cache_home: Path) -> None:
    arguments = (*TINY_GAN, "callbacks.checkpoint.every_n_seconds=0", "hydra.run.dir=run")
    process = start(cache_home, *arguments, "trainer.max_epochs=500", cwd=tmp_path)
    wait_for(process, tmp_path, "run/checkpoints/last.ckpt")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "resume=true" in errors
    assert "Traceback" not in errors
    assert read_json(tmp_path / "run" / "run.json")["status"] == "interrupted"
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["batches_done"] > 0


def test_two_processes_never_share_a_folder(
    command: Command, tmp_path: Path, cache_home: Path
) -> None:
    arguments = (*TINY_GAN, "trainer.max_epochs=500", "hydra.run.dir=run")
    first = start(cache_home, *arguments, cwd=tmp_path)
    try:
        wait_for(first, tmp_path, "run/run.json")
        second = command("train", *arguments)
        assert second.returncode != 0
        owner = f"process {first.pid} on {platform.node()}, by {tmp_path / 'run' / '.lease'}"
        assert f"another process is running in this folder ({owner})" in second.stderr
    finally:
        first.kill()
        first.wait()


@pytest.mark.parametrize(
    "debug", ["fast", pytest.param("overfit", marks=pytest.mark.slow), "profiler"]
)
def test_debug(debug: str, command: Command, tmp_path: Path) -> None:
    result = command("train", *TINY_CNN, f"+debug={debug}", "hydra.run.dir=run")
    assert result.returncode == 0, result.stderr
    if debug == "profiler":
        (table,) = (tmp_path / "run").glob("fit-profile*")
        assert "run_training_batch" in table.read_text()
    if debug == "overfit":
        rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
        accuracy = [float(r.split(",")[2]) for r in rows if ",train/accuracy," in r]
        assert min(accuracy[-4:]) == 1.0
    if debug == "fast":
        state = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
        assert state["batches_done"] == 4


def test_every_option_of_the_dcgan_in_colour(command: Command) -> None:
    result = command(
        "train", *TINY_GAN, "data.channels=3", "data.image_size=64", "trainer.max_epochs=1",
        "model.spectral_norm=true", "model.loss=hinge", "model.real_label=1", "model.augment=null",
        "model.ema_decay=0", "model.d_steps=1", "model.g_steps=5", "hydra.run.dir=run",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


def write_pneumoniamnist(folder: Path) -> None:
    """The standard file, 28 pixels; brightness gives the class away."""
    random = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 60), ("val", 20), ("test", 20)):
        labels = np.arange(n) % 2
        noise = random.normal(90, 20, (n, 28, 28)) + 60 * labels[:, None, None]
        arrays[f"{split}_images"] = noise.clip(0, 255).astype(np.uint8)
        arrays[f"{split}_labels"] = labels[:, None]
    np.savez(folder / "pneumoniamnist.npz", **arrays)


def test_a_gan_takes_the_standard_pneumoniamnist_file(command: Command, tmp_path: Path) -> None:
    write_pneumoniamnist(tmp_path)
    result = command(
        "train", "model=dcgan", "data=pneumoniamnist", "data.root=.", "data.image_size=32",
        "data.train_class=pneumonia", "data.batch_size=10", "model.width=4", "generate.count=4",
        "trainer.max_epochs=1", "hydra.run.dir=run",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "images scaled from 28 to 32 pixels (pneumoniamnist.npz)" in result.stdout
    assert len(list((tmp_path / "run" / "synthetic" / "pneumonia").iterdir())) == 4


def test_pneumoniamnist_end_to_end(command: Command, tmp_path: Path) -> None:
    write_pneumoniamnist(tmp_path)
    result = command(
        "train", "model=cnn", "data=pneumoniamnist", "data.root=.", "data.image_size=28",
        "data.batch_size=10", "trainer.max_epochs=10", "hydra.run.dir=run",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "validation: 10 normal, 10 pneumonia" in result.stdout
    # Brightness gives the class away: anything that learns is right.
    assert read_json(tmp_path / "run" / "metrics.json")["test"]["at_0.5"]["accuracy"] > 0.9


@pytest.mark.parametrize("name", ["train", "generate", "study", "report", "status"])
def test_help(name: str, command: Command) -> None:
    result = command(name, "--help")
    assert result.returncode == 0
    assert f"python -m gan_aug.{name}" in result.stdout


def test_the_commands_are_listed(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a screen, and all that there are; one is run by its name."""
    for arguments in ([], ["--help"]):
        monkeypatch.setattr(sys, "argv", ["gan-aug", *arguments])
        gan_aug_command()
        said = capsys.readouterr().out
        assert len(said.splitlines()) <= 24
        listed = re.findall(r"^  (\w+) +\w", said, re.MULTILINE)
        assert set(listed) >= {path.stem for path in (ROOT / "conf").glob("*.yaml")}
    monkeypatch.setattr(sys, "argv", ["gan-aug", "studdy"])
    with pytest.raises(SystemExit, match="^error: studdy: is no command; did you mean study.$"):
        gan_aug_command()
    result = command("__main__", "status", "study_dir=nowhere")
    assert_one_line(result, "error: study_dir=nowhere: no such folder")


@pytest.mark.parametrize("module", ["gan_aug", "gan_aug.train"])
def test_who_stops_reading_hears_nothing(module: str, tmp_path: Path) -> None:
    """`--help | head -1` ended with BrokenPipeError."""
    reader, write = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        stdout=write, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    os.close(write)
    assert result.stderr == ""
    assert result.returncode == 141


def test_a_run_whose_output_nobody_reads_can_go_on(tmp_path: Path, cache_home: Path) -> None:
    reader, write = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "gan_aug.train", *TINY_CNN, "hydra.run.dir=run"],
        stdout=write, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env=environment(cache_home) | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    os.close(write)
    assert (result.returncode, result.stderr) == (141, "")
    record = read_json(tmp_path / "run" / "run.json")
    assert record["status"] == "interrupted"
    assert record["reason"] == "nobody reads its output; can go on"


def test_help_and_config_errors_load_no_torch(tmp_path: Path) -> None:
    """What makes them answer at once; seconds themselves are in `make bench`."""
    code = (
        "import sys\n"
        "import gan_aug.study.__main__ as study, gan_aug.train as train\n"
        "def run(command, *arguments):\n"
        "    sys.argv = ['gan_aug', *arguments]\n"
        "    try: command.main()\n"
        "    except SystemExit as end: print('code', end.code)\n"
        "run(train, '--help')\n"
        "run(study, '+study=seed_protocol', 'study.steps=0')\n"
        "assert 'torch' not in sys.modules and 'lightning' not in sys.modules\n"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("code 1\n")


MINE = """
from lightning.pytorch import Callback

class Count(Callback):
    def __init__(self, fitting, path):
        self.path = fitting.run.folder / path

    def on_train_epoch_end(self, trainer, module):
        with self.path.open("a") as file:
            file.write(f"{trainer.current_epoch} ")
"""


def test_callbacks_and_loggers_of_ones_own(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    own = "+callbacks.count={_target_: mine.Count, _partial_: true, path: epochs.txt}"
    logger = "+logger.more={_target_: lightning.pytorch.loggers.CSVLogger, save_dir: more}"
    arguments = (*TINY_CNN, "trainer.max_epochs=2", "callbacks.progress=null")
    result = command("train", *arguments, own, logger, "hydra.run.dir=r")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "r" / "epochs.txt").read_text() == "0 1 "
    assert "val/loss" in next((tmp_path / "more").rglob("metrics.csv")).read_text()
    for bad, named in (
        ("+callbacks.x={_target_: nowhere.X}", "callbacks.x: cannot be built"),
        ("~callbacks.checkpoint", "callbacks.checkpoint"),
    ):
        assert_one_line(command("train", *TINY_CNN, bad, "hydra.run.dir=bad"), named)


def test_every_model_composes_with_every_data_set() -> None:
    """Each is composed once; what a model takes of its data is resolved with all of them."""
    from hydra.utils import get_class
    from omegaconf import OmegaConf

    from gan_aug.models.gans.base import GAN

    models, datas = (
        sorted(p.stem for p in (ROOT / "conf" / group).glob("*.yaml") if "base" not in p.stem)
        for group in ("model", "data")
    )
    assert {"dcgan", "cnn"} <= set(models)
    of_data = {}
    for data in datas:
        name = "bloodmnist" if data == "medmnist" else data
        chosen = [f"data={data}", *([f"data.set={name}"] if name != data else [])]
        of_data[name] = composed("train", *chosen, "model=cnn").data
        assert of_data[name].name == name
    for model in models:
        cfg = composed("train", f"model={model}", "data=phantom")
        if model == "generator":  # whose class somebody else writes
            continue
        node = cfg.model if cfg.model.kind == "generator" else cfg.model.module
        kind = get_class(node._target_)
        assert issubclass(kind, GAN) == (cfg.model.kind == "gan")
        assert cfg.model.name == ("convnext_atto" if model == "timm" else model)
        for data in of_data.values():
            cfg.data = data
            cfg.data.channels, cfg.data.image_size = 3, 128
            OmegaConf.to_container(cfg.model, resolve=True)


def test_commands_in_the_readmes_name_things_that_exist() -> None:
    readmes = [*PAGES, ROOT / "README.ko.md", *ROOT.glob("experiments/*/README.md")]
    text = "\n".join(path.read_text() for path in readmes)
    for group in ("experiment", "study"):
        names = set(re.findall(rf"\+{group}=(\w+)", text))
        assert names
        for name in names:
            assert (ROOT / "conf" / group / f"{name}.yaml").exists()
    for name in set(re.findall(r"python -m gan_aug\.(\w+)", text)):
        package = ROOT / "src" / "gan_aug"
        assert (package / f"{name}.py").exists() or (package / name / "__main__.py").exists()


def commands_in(page: Path) -> list[str]:
    """Return the commands of a page, each on one line, without what is said of them."""
    text = page.read_text().replace("\\\n", " ")
    return re.findall(r"^ *((?:python -m gan_aug|gan-aug)\b.*?)(?:  #.*)?$", text, flags=re.M)


def test_powershell_reads_the_commands_as_bash_does() -> None:
    """Outside single quotes PowerShell splits at a comma and runs what is in brackets."""
    commands = [one for page in (*PAGES, ROOT / "README.ko.md") for one in commands_in(page)]
    assert len(commands) > 30
    assert not [one for one in commands if set(re.sub("'[^']*'", "", one)) & set(',(){}[]@$"`;')]


def first_of(argument: str) -> str:
    """Return an argument with the first of its values, where it sweeps over several."""
    one = OverridesParser.create().parse_override(argument)
    if not one.is_sweep_override():
        return argument
    sweep = one.value()
    if isinstance(sweep, IntervalSweep):
        return f"{one.key_or_group}={sweep.start}"
    return f"{one.key_or_group}={next(one.sweep_string_iterator())}"


PATHS = r"(?:\w+\.)*(?:root|dir|checkpoint|weights|table|output_dir|study_dir)"


def check_taken(typed: list[str]) -> None:
    """Compose and check a command as it does itself, up to the data; its files are made."""
    name, *arguments = typed
    for path in re.findall(rf"(?:^|[ {{]){PATHS}[=:] ?([\w./]+)", " ".join(arguments)):
        is_file = Path(path).suffix in (".ckpt", ".csv", ".safetensors") or path == "FILE"
        folder = Path(path).parent if is_file else Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        if is_file:
            Path(path).touch()
    taken = [one for one in for_hydra(arguments, "resume=true") if one != "-m"]
    # export takes several draws at once
    taken = with_list(taken, "draw") if name == "export" else [first_of(one) for one in taken]
    if of_hydra := [one for one in taken if one.startswith("hydra")]:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            compose(name, of_hydra, return_hydra_config=True)
    settings = settings_of(name, *(one for one in taken if one not in of_hydra))
    if name == "study" and settings.study.takes_from_data:  # no class of which is the positive one
        ats = [one.at for one in settings.study.endpoints]
        assert settings.data.positive or "validation" not in ats, "needs data.positive"


@pytest.mark.slow
def test_commands_in_the_pages_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few are run elsewhere."""
    monkeypatch.chdir(tmp_path)
    commands = dict.fromkeys(one for page in PAGES for one in commands_in(page))
    refused, number = {}, 0
    for text in commands:
        typed = shlex.split(re.sub(r"^python -m gan_aug\.?|^gan-aug", "", text))
        own = any(word in text for word in ("model=mynet", "model._target_=", "--", "..."))
        if not typed or typed[0] not in {*COMMANDS} - {"demo"} or own:
            continue  # of somebody's own code, which the pages of it test
        number += 1
        try:
            check_taken(typed)
        except Exception as error:
            refused[text] = f"{type(error).__name__}: {error}"
    assert refused == {}
    assert number > 25


@pytest.mark.slow
def test_the_three_commands_on_real_xrays(
    real_xrays: Path, command: Command, tmp_path: Path
) -> None:
    """README's commands, with fewer GAN epochs."""
    root = f"data.root={real_xrays}"
    gan = command(
        "train", "+experiment=dcgan_pneumonia", root, "trainer.max_epochs=3",
        "quality.reference_steps=20", "hydra.run.dir=gan",
    )  # fmt: skip
    assert gan.returncode == 0, gan.stderr
    assert "available for training: 1311 normal, 3845 pneumonia" in gan.stdout
    assert "test: 204 normal, 360 pneumonia" in gan.stdout
    real = command("train", "+experiment=cnn_baseline", root, "hydra.run.dir=real")
    mixed = command(
        "train", "+experiment=cnn_gan_aug", root, "data.synthetic.dir=gan/synthetic",
        "data.synthetic.count=100", "hydra.run.dir=mixed",
    )  # fmt: skip
    for result, name in ((real, "real"), (mixed, "mixed")):
        assert result.returncode == 0, result.stderr
        metrics = read_json(tmp_path / name / "metrics.json")
        # A constant guess gives 0.638; 0.77 to 0.85 were seen.
        assert 0.7 < metrics["test"]["at_0.5"]["accuracy"] < 0.95
        assert metrics["validation"]["at_0.5"]["accuracy"] > 0.9


@pytest.mark.slow
def test_a_wheel_works_in_another_environment(tmp_path: Path, cache_home: Path) -> None:
    """Built from the repository, installed elsewhere, run in an empty folder."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    python = tmp_path / "env" / "bin" / "python"
    (site,) = (tmp_path / "env" / "lib").glob("*/site-packages")
    # The dependencies (gigabytes) are lent; a plain path entry does not lend gan_aug itself,
    # which is installed in editable form there.
    (site / "lent.pth").write_text(str(Path(torch.__file__).parents[1]))
    install = [str(python), "-m", "pip", "install", "--no-deps", "--quiet", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    result = subprocess.run(
        [str(python), "-m", "gan_aug.train", "+experiment=dcgan_pneumonia", *TINY_DATA,
         "model.width=4", "trainer.max_epochs=2", "generate.count=4"],
        cwd=empty,
        env=environment(cache_home),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (record,) = empty.glob("runs/dcgan_pneumonia/*/run.json")
    assert read_json(record)["status"] == "finished"
    where = "import gan_aug; print(gan_aug.__file__)"
    found = subprocess.run([str(python), "-c", where], capture_output=True, text=True, check=True)
    assert str(tmp_path / "env") in found.stdout


@pytest.mark.slow
def test_demo(
    tmp_path: Path,
    cache_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The commands that it runs, for fewer epochs."""
    less = ("trainer.max_epochs=2", "quality.reference_steps=20")

    def train(command: str, arguments: list[str]) -> gan_aug.Result:
        return gan_aug.run(command, [*arguments, *less])

    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "run", train)
    demo.main()
    printed = capsys.readouterr().out
    assert "data=phantom" in printed.splitlines()[0]
    summary = printed[printed.rindex("data=phantom") :]
    for part in ("samples", "checkpoint", "TensorBoard", "real + 100 generated"):
        assert part in summary
    named = re.findall(r"(?:samples|synthetic|checkpoint|logdir) +(\S+)", summary)
    assert len(named) == 4
    assert all((tmp_path / path).exists() for path in named)
    for output in (Path(named[-1]) / name / "output.txt" for name in ("dcgan", "cnn_real")):
        assert "data=phantom" in output.read_text(), "what a command prints"


def test_a_demo_that_cannot_go_on_says_why_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise gan_aug.GanAugError("data.cache_dir: cannot be written")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "run", refuse)
    with pytest.raises(SystemExit) as ended:
        demo.main()
    assert ended.value.code == "error: data.cache_dir: cannot be written"
