"""Loggers of services follow runs and the fits of studies, and change nothing of them."""

from __future__ import annotations

import json
import os
import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fake_study import change
from support import TINY_CNN, TINY_STUDY, read_json, run_command, settings_of

from gan_aug.jobs import curve
from gan_aug.runtime.errors import GanAugError
from gan_aug.training.callbacks import MetricsCSV
from gan_aug.training.loggers import MLflow, Service, WandB, close_all
from gan_aug.training.plugins import Fitting, build_all

ARMS = ("real", "duplicate", "trivialaugment", "cutmix")
STUDY = (
    *TINY_STUDY,
    *(f"+arm@arms.{name}={name}" for name in ARMS),
    "+augment@arms.cutmix.augment=classic",
    "arms.cutmix.balanced=true",
    "study.question={arm:duplicate,reference:real}",
    "quality.use=[]",
)
LOGGED = ("logger=many", "logger.wandb.offline=true")


def fitting(folder: Path, **settings: Any) -> Fitting:
    run: Any = SimpleNamespace(folder=folder, facts=SimpleNamespace(started=""), away=set())
    shown = settings or {"lr": 0.1}
    name = "s/draw_0/real/0"
    return Fitting(run, None, 0, folder / "real_0", name, {"draw": "0"}, shown, group="s")


def test_rows_up_to_a_checkpoint_are_kept_whatever_a_class_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And however many there are: a long run goes on."""
    monkeypatch.setattr(curve, "MOST_BYTES", 10)
    path = tmp_path / "metrics.csv"
    log = MetricsCSV(path, 0)
    log.log_metrics({"val/sensitivity_a, b": 0.1, "val/loss": 1 / 3}, 1)
    log.log_metrics({"val/loss": 0.5}, 2)
    whole = path.read_text()
    path.write_text(f"{whole}2,val/auroc,0.8")  # half written
    assert MetricsCSV(path, 2).rows == 3
    assert path.read_text() == whole
    assert MetricsCSV(path, 1).rows == 2


class Fails(Service):
    """Draws random numbers, and then breaks."""

    title, key = "It", "logger.it"

    def open(self) -> Any:
        random.random(), np.random.rand(), torch.rand(1)
        raise OSError("nobody there.\nSorry.")

    def end(self, logger: Any, status: str) -> None:
        raise AssertionError


def states() -> list[Any]:
    return [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]


def test_a_service_that_fails_is_one_warning_and_draws_no_random_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger, before = Fails(fitting(tmp_path)), states()
    for step in range(3):
        logger.log_metrics({"loss": 0.5}, step)
    close_all([logger])
    assert states() == before
    assert logger.lost
    assert capsys.readouterr().err == (
        "warning: logger.it: nobody there. Sorry; It lacks s/draw_0/real/0, which goes on\n"
    )


class Breaks(Service):
    """Is begun, and then breaks at every scalar."""

    title, key = "It", "logger.it"
    ended: str | None = None

    def open(self) -> Any:
        def refuse(*_: object) -> None:
            raise OSError("POST http://me:secret@host:5000/api and https://host/a@b failed")

        return SimpleNamespace(log_metrics=refuse)

    def end(self, logger: Any, status: str) -> None:
        self.ended = status


def test_a_run_that_lacks_something_is_ended_as_failed_and_no_password_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = Breaks(fitting(tmp_path))
    logger.log_metrics({"loss": 0.5}, 1)
    close_all([logger])
    assert logger.ended == "failed"
    said = capsys.readouterr().err
    assert "POST http://host:5000/api and https://host/a@b failed" in said
    assert "secret" not in said


def test_a_run_whose_settings_are_not_taken_is_ended_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    def refuse(_: object) -> None:
        raise OSError("gone")

    ended: list[object] = []
    begun = SimpleNamespace(
        define_metric=lambda *_, **__: None, finish=lambda exit_code: ended.append(exit_code)
    )
    client = SimpleNamespace(get_experiment_by_name=lambda _: None, create_experiment=lambda _: "")
    made = SimpleNamespace(
        log_hyperparams=refuse, experiment=begun, _mlflow_client=client, finalize=ended.append
    )
    monkeypatch.setattr(wandb, "init", lambda **_: begun)
    for name in ("WandbLogger", "MLFlowLogger"):
        monkeypatch.setattr(f"gan_aug.training.loggers.{name}", lambda *_, **__: made)
    run = fitting(tmp_path)
    for logger in (WandB(run, "p", None, offline=False), MLflow(run, "e", "http://localhost:1")):
        logger.log_metrics({"loss": 0.5}, 1)
        close_all([logger])
    assert ended == [1, "failed"]


def test_mlflow_is_waited_for_once_in_each_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    asked: list[str] = []

    def refuse(_: object, name: str) -> None:
        asked.append(name)
        raise MlflowException("nobody there")

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", refuse)
    run = fitting(tmp_path)
    for fit in (run, run, fitting(tmp_path)):
        logger = MLflow(fit, "e", f"sqlite:///{tmp_path / 'mlflow.db'}")
        logger.log_metrics({"loss": 0.5}, 1)
        assert logger.lost
    assert asked == ["e", "e"]
    assert not MLflow(run, "e", f"sqlite:///{tmp_path / 'another.db'}").lost
    assert capsys.readouterr().err.count("warning: ") == 2


def test_wandb_asks_nobody_for_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would in a terminal, and a study would wait there, or lose what it sends."""
    import wandb

    found: list[bool] = []

    def init(mode: str | None = None, **_: object) -> Any:
        if mode is None:
            found.append(sys.stdin.isatty())
            raise OSError("nobody is logged in")
        return SimpleNamespace(define_metric=lambda *_, **__: None)

    terminal = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(wandb, "init", init)
    made = SimpleNamespace(log_hyperparams=lambda _: None)
    monkeypatch.setattr("gan_aug.training.loggers.WandbLogger", lambda experiment: made)
    run = fitting(tmp_path)
    for fit in (run, run, fitting(tmp_path)):  # a notebook runs several, and the next may reach it
        WandB(fit, "p", None, offline=False).open()
    assert found == [False, False], "each run asks once"
    assert sys.stdin is terminal


@pytest.mark.slow
def test_mlflow_goes_on_where_a_setting_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow takes no other value of a setting; that must not cost the scalars."""
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)  # which Lightning's logger sets for good
    for step, settings in enumerate([{"lr": 0.1}, {"lr": 0.2, "new": 1}]):
        logger = MLflow(fitting(tmp_path, **settings), "e", uri)
        logger.log_metrics({"loss": 0.5}, step)
        close_all([logger])
        assert not logger.lost
    client = MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    assert run.data.params == {"lr": "0.1", "new": "1"}
    assert len(client.get_metric_history(run.info.run_id, "loss")) == 2


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_package_that_is_missing_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, name, None)
    nodes = settings_of("study", *STUDY, "logger=many").logger
    with pytest.raises(GanAugError, match=f"logger.{name}: needs .*'gan_aug.{name}.'"):
        build_all({name: nodes[name]}, "logger", fitting(tmp_path))


def test_only_what_was_chosen_follows_the_fits_of_a_study(tmp_path: Path) -> None:
    for group, kinds in (
        ("default", []),
        ("csv", ["MetricsCSV"]),
        ("wandb", ["WandB"]),
        ("mlflow", ["MLflow"]),
        ("many", ["MetricsCSV", "MLflow", "WandB"]),
    ):
        nodes = settings_of("study", *STUDY, f"logger={group}").logger
        built = build_all(nodes, "logger", fitting(tmp_path))
        assert sorted(type(one).__name__ for one in built) == sorted(kinds)


def test_a_run_is_known_again_by_its_folder_start_and_name(tmp_path: Path) -> None:
    one, again = (MLflow(fitting(tmp_path), "e", "u") for _ in range(2))
    other = MLflow(fitting(tmp_path / "other"), "e", "u")
    assert one.version == again.version != other.version


@pytest.mark.slow
def test_services_out_of_reach_keep_what_they_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in [key for key in os.environ if key.startswith(("WANDB_", "MLFLOW_"))]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_BASE_URL", "http://localhost:1")
    nodes = settings_of(
        "study", *STUDY, "logger=many", "logger.mlflow.tracking_uri=http://localhost:1"
    ).logger
    run = fitting(tmp_path)
    for _ in range(2):  # the second fit waits no more, and says nothing
        loggers = build_all(nodes, "logger", run)
        for logger in loggers:
            logger.log_metrics({"val/loss": 0.5}, 3)
        close_all(loggers)
        assert {type(one).__name__: getattr(one, "lost", None) for one in loggers} == {
            "MetricsCSV": None,
            "WandB": False,
            "MLflow": True,
        }
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning: " in line]
    assert len(warnings) == 2
    assert any("logger.wandb: No API key" in one and "`wandb sync`" in one for one in warnings)
    assert any("MLflow lacks s/draw_0/real/0, which goes on" in one for one in warnings)
    assert set(_scalars(tmp_path / "real_0")) == {"val/loss"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    folder = tmp_path_factory.mktemp("loggers")
    arguments = (*TINY_CNN, "trainer.max_epochs=2", "trainer.log_every_n_steps=2")
    run_command(cache_home, "train", *arguments, "hydra.run.dir=plain", cwd=folder, check=True)
    for _ in range(2):  # the second time goes on, with nothing to train
        run_command(
            cache_home, "train", *arguments, *LOGGED, "hydra.run.dir=logged", cwd=folder, check=True
        )
        change(folder / "logged/run.json", lambda record: record.update(status="running"))
    run_command(cache_home, "study", *STUDY, "study_dir=plain_s", cwd=folder, check=True)
    for _ in range(2):
        run_command(cache_home, "study", *STUDY, *LOGGED, "study_dir=s", cwd=folder, check=True)
        change(folder / "s/draw_0/run.json", lambda record: record.update(status="running"))
        (folder / "s/draw_0/metrics.json").rename(folder / "first.json")
    return folder


@pytest.mark.slow
def test_loggers_change_nothing(runs: Path) -> None:
    weights = []
    for name in ("plain", "logged"):
        content = torch.load(runs / name / "checkpoints/last.ckpt", weights_only=True)
        weights.append(content["state_dict"])
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    one, other = (read_json(runs / f"{n}/metrics.json") for n in ("plain", "logged"))
    assert one == other
    for arm in ARMS:
        both = [runs / study / f"draw_0/fits/{arm}_0.npz" for study in ("plain_s", "s")]
        assert both[0].read_bytes() == both[1].read_bytes(), arm
    assert not list((runs / "plain_s").rglob("logged.json"))


@pytest.mark.slow
def test_mlflow_has_curves_and_final_metrics_once(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    client = MlflowClient(f"sqlite:///{runs / 'runs/mlflow.db'}")
    experiment = client.get_experiment_by_name("gan_aug")
    found = client.search_runs([experiment.experiment_id])
    of = {run.info.run_name: run for run in found}
    names = {f"s/draw_0/{arm}/0" for arm in ARMS}
    assert sorted(run.info.run_name for run in found) == sorted({*names, "cnn_baseline/logged"})
    assert {run.info.status for run in found} == {"FINISHED"}
    for name, run in of.items():
        metrics = run.data.metrics
        if name in names:
            fit = read_json(runs / f"s/draw_0/fits/{run.data.tags['arm']}_0.json")
            curve = [(int(p["step"]), p["val_loss"]) for p in fit["curve"]]
            assert run.data.tags["draw"] == "0"
            assert run.data.tags["group"] == "s"
        else:
            result = read_json(runs / "logged/metrics.json")
            assert metrics["test/auroc"] == pytest.approx(result["headline"]["test_auroc"])
            curve = []
        sent = client.get_metric_history(run.info.run_id, "val/loss")
        assert len(sent) >= 2
        assert not curve or [(one.step, pytest.approx(one.value)) for one in sent] == curve
    headline = read_json(runs / "first.json")["headline"]
    for arm in ARMS:
        sent = of[f"s/draw_0/{arm}/0"].data.metrics["test/accuracy"]
        assert sent == pytest.approx(headline[arm])
    assert of["s/draw_0/cutmix/0"].data.params["arm"] == "cutmix"


@pytest.mark.slow
def test_wandb_has_them_offline_and_metrics_csv_too(runs: Path) -> None:
    for arm in ARMS:
        folder = runs / f"s/draw_0/{arm}_0"
        assert len(list(folder.glob("wandb/offline-run-*"))) == 1  # sent once
        sent = _scalars(folder)
        assert len(sent["val/loss"]) == 2
        assert len(sent["test/accuracy"]) == 1
        rows = (folder / "metrics.csv").read_text().splitlines()
        assert sum(",val/loss," in row for row in rows) == 2
    assert "test/auroc" in _scalars(runs / "logged")


@pytest.mark.slow
def test_arms_of_other_libraries_keep_the_rules(runs: Path) -> None:
    checks = read_json(runs / "first.json")["checks"]
    # Neither TrivialAugment nor a balanced CutMix is a control that the rule asks for.
    broken = [check["detail"] for check in checks if not check["passed"]]
    assert broken == ["missing: classic, oversample"]


def _scalars(folder: Path) -> dict[str, list[float]]:
    """Read W&B's own files of a run."""
    from wandb.proto import wandb_internal_pb2

    found: dict[str, list[float]] = {}
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for data in _records(path.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            for item in record.history.item:
                name = item.key or "/".join(item.nested_key)
                found.setdefault(name, []).append(json.loads(item.value_json))
    return {name: values for name, values in found.items() if not name.startswith(("_", "trainer"))}


def _records(content: bytes) -> Iterator[bytes]:
    """Read a log of LevelDB's format: blocks of records, each with checksum, length and kind."""
    at, parts, block = 7, b"", 32768  # after W&B's own header
    while at + 7 <= len(content):
        if block - at % block < 7:  # the rest of a block is padding
            at += block - at % block
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        parts += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""
