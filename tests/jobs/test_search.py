"""Searches: what may be searched, what is reported, pruned, kept, and gone on with."""

from __future__ import annotations

import copy
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import optuna
import pytest
from job_files import multirun
from omegaconf import DictConfig, OmegaConf, open_dict
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import NopPruner
from optuna.trial import FrozenTrial, TrialState
from support import ROOT, TINY_CNN, read_json, refused, run_command, start, wait_until

from gan_aug.jobs import search as searching
from gan_aug.jobs.compose import Composer
from gan_aug.jobs.curve import curve, result
from gan_aug.jobs.journal import Settings, Space, opened, space_of
from gan_aug.jobs.pool import Ended
from gan_aug.jobs.search import search
from gan_aug.jobs.submission import Job, Submission
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.folder_names import folder_name
from gan_aug.runtime.launched import DIVERGED

LR = "model.lr=tag(log, interval(1e-5, 1e-1))"
LOADER: Any = None  # only glob(*) asks it


# What may be searched


def test_sweeps_are_what_optuna_searches() -> None:
    space = space_of(
        ["model.hidden=9", LR, "model.width=4,8", "data.batch_size=range(8, 33, 8)", "a.b=5",
         "model.patience=tag(log, range(2, 9))", "+x=interval(0, 1)",
         "model.hidden=choice(16, 32)"],
        LOADER,
    )  # fmt: skip
    assert space.searched == {
        "model.lr": FloatDistribution(1e-5, 1e-1, log=True),
        "model.width": CategoricalDistribution(["4", "8"]),
        "data.batch_size": IntDistribution(8, 32, step=8),
        "model.patience": IntDistribution(2, 8, log=True),
        "+x": FloatDistribution(0, 1),
        "model.hidden": CategoricalDistribution(["16", "32"]),
    }
    assert space.fixed == ("a.b=5",)
    assert space.overrides({"model.lr": 1e-05}) == ["a.b=5", "model.lr=1e-05"]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("a=shuffle(1,2)", "cannot be searched"),
        ("a=shuffle(range(1,4))", "cannot be searched"),
        ("a=tag(log, choice(1, 2))", "cannot be searched"),
        ("a=tag(linear, interval(1, 2))", "cannot be searched"),
        ("a=range(0.1, 0.5, 0.1)", "cannot be searched"),
        ("a=range(5, 1)", "cannot be searched"),
        ("a=tag(log, interval(0, 1))", r"^a=tag\(log, interval\(0, 1\)\): "),
        ("a=interval(2, 1)", r"^a=interval\(2, 1\): "),
        ("draw=0,1", "^draw=0,1: a search would choose the luckiest"),
        ("seed=range(0, 5)", "choose the luckiest"),
        ("a=1", "nothing is searched"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused_in_a_line(typed: str, message: str) -> None:
    with pytest.raises(GanAugError, match=message) as caught:
        space_of([typed], LOADER)
    assert "\n" not in str(caught.value)


# What a run has logged


def write_run(folder: Path, rows: Sequence[tuple[int, str, float]], **metrics: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{batch},{name},{value!r}\n" for batch, name, value in rows)
    (folder / "metrics.csv").write_text("batch,name,value\n" + text)
    if metrics:
        (folder / "metrics.json").write_text(json.dumps(metrics))


def test_a_curve_is_read_while_it_is_written(tmp_path: Path) -> None:
    write_run(tmp_path, [(5, "val/loss", 0.5), (5, "val/auroc", 0.7), (9, "val/loss", 0.4)])
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("12,val/loss,0.")
    assert curve(tmp_path, "val/loss", ended=False) == [(5, 0.5)]
    assert curve(tmp_path, "val/loss", ended=True) == [(5, 0.5), (9, 0.4)]
    assert curve(tmp_path / "none", "val/loss", ended=False) == []


def test_quality_is_the_mean_over_classes(tmp_path: Path) -> None:
    logged = {"kid normal": 0.2, "kid my class": 0.4, "recall normal": 0.9}
    rows = [(7, f"quality cnn-12/{name}", value) for name, value in logged.items()]
    write_run(tmp_path, [*rows, (8, "loss/d", 1.0)])
    assert curve(tmp_path, "quality/kid", ended=False) == [(7, pytest.approx(0.3))]
    assert curve(tmp_path, "quality cnn-12/kid normal", ended=False) == [(7, 0.2)]


def test_the_result_is_that_of_the_checkpoint_that_is_kept(tmp_path: Path) -> None:
    rows = [(batch, "val/auroc", batch / 10) for batch in (1, 2, 3)]
    write_run(tmp_path / "cnn", [*rows, (4, "test/auroc", 0.99)], best_batches=2)
    assert result(tmp_path / "cnn", "val/auroc") == 0.2
    write_run(tmp_path / "gan", rows, batches=3)
    assert result(tmp_path / "gan", "val/auroc") == 0.3
    with pytest.raises(
        GanAugError, match=r"metric=val/auc: .*cnn logged none; it logged val/auroc$"
    ):
        result(tmp_path / "cnn", "val/auc")


# The file


DEFAULTS: dict[str, Any] = {
    key: value
    for key, value in OmegaConf.load(ROOT / "conf/hydra/sweeper/optuna.yaml").items()
    if key not in ("_target_", "_recursive_", "params")
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "optuna.journal"


@contextmanager
def stored(
    path: Path, given: Sequence[str] = (LR, "a=1"), space: Space | None = None, **settings: Any
) -> Iterator[tuple[optuna.Study, Callable[[], optuna.Trial]]]:
    """Give the study of a search, and what begins a trial."""
    space = space or space_of(given, LOADER)
    with opened(path, Settings(**DEFAULTS | settings), space, NopPruner()) as study:

        def begin() -> optuna.Trial:
            trial = study.ask()
            space.suggest(trial)
            return trial

        yield study, begin


def test_a_study_is_gone_on_with_but_no_other(path: Path) -> None:
    with stored(path) as (_, begin):
        begin()
    with stored(path) as (study, _):
        assert [t.state for t in study.trials] == [TrialState.RUNNING]
    for other, key in (
        (stored(path, metric="val/auroc"), "metric"),
        (stored(path, direction="maximize"), "direction"),
        (stored(path, (LR, "a=2")), "fixed"),
        (stored(path, (LR, "a=1", "b=1,2")), "searched"),
    ):
        with pytest.raises(GanAugError, match=rf"holds another search .*\(its {key}"), other:
            pass


def test_values_in_the_file_cannot_be_other_settings(path: Path) -> None:
    """They become overrides of jobs, which may name any class."""
    choices = Space({"model": CategoricalDistribution(["cnn", "resnet18"])}, ())
    with stored(path, space=choices) as (_, begin):
        begin()
    path.write_text(path.read_text().replace("resnet18", "evil").replace('\\"cnn', '\\"bad'))
    with (
        pytest.raises(GanAugError, match="holds another search"),
        stored(path, space=choices),
    ):
        pass


@pytest.mark.parametrize("harm", ["noise", "line", "type", "fifo", "folder"])
def test_a_damaged_file_is_one_line(path: Path, harm: str) -> None:
    with stored(path) as (_, begin):
        begin()
    lines = path.read_text().splitlines(keepends=True)
    if harm == "noise":
        path.write_bytes(os.urandom(500) + b"\n")
    elif harm == "line":
        path.write_text("".join([lines[0], lines[1][:9] + "\n", *lines[2:]]))
    elif harm == "type":
        path.write_text("".join(lines[:-1]) + '{"op_code": "x"}\n[]\n')
    else:
        path.unlink()
        path.mkdir() if harm == "folder" else os.mkfifo(path)
    with refused("optuna.journal: is "), stored(path):
        pass


def test_half_a_last_line_is_cut_off(path: Path) -> None:
    with stored(path) as (study, _):
        study.ask()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code": 5, "tri')
    with stored(path) as (study, _):
        study.ask()
    assert path.read_bytes().startswith(whole + b"{")
    with stored(path) as (study, _):
        assert len(study.trials) == 2


def test_a_value_outside_its_interval_is_refused(path: Path) -> None:
    """It would be printed as the best."""
    with stored(path) as (study, begin):
        for loss in (2.0, 1.0):
            study.tell(trial := begin(), loss)
    value = str(trial.params["model.lr"])
    assert value in path.read_text()
    path.write_text(path.read_text().replace(value, "5.0"))
    with refused("optuna.journal: trial 1 has model.lr=5.0, which is none of what"), stored(path):
        pass


def test_two_do_not_search_with_one_file(path: Path) -> None:
    with stored(path), refused("another command searches with this file"), stored(path):
        pass


# The search, with jobs that are made up


class FakePool:
    def __init__(self) -> None:
        self.ended: dict[int, Ended] = {}
        self.told: set[int] = set()

    def end(self, k: int) -> None:
        self.told.add(k)


class Jobs:
    """Stands for the processes: a loss that is least at model.lr = 1e-3, ten values a run.

    Attributes:
        lengths: values that each run of a trial logged.
        look_every: values between two looks; a slow search sees all at once.
        code: from the learning rate to an exit code.
        kill_before: the job that the search is killed before.
    """

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.rates: list[float] = []
        self.look_every = 1
        self.code: Callable[[float], int] = lambda rate: 0
        self.kill_before: int | None = None

    def run(self, submission: Submission, slots: Any, look: Any) -> dict[int, Ended]:
        if self.kill_before == len(self.rates):
            raise KeyboardInterrupt
        pool = FakePool()
        for k, job in enumerate(submission.jobs):
            given = dict(override.split("=") for override in job.overrides)
            rate = float(given["model.lr"])
            self.rates.append(rate)
            code = self.code(rate)
            submission.log_path(k).write_text("error: it is so\n")
            rows: list[tuple[int, str, float]] = []
            while len(rows) < 10 and k not in pool.told and not code:
                value = abs(math.log10(rate) + 3) + 1 / (1 + len(rows))
                rows.append((len(rows), "val/loss", value))
                write_run(submission.run_folder(k), rows, best_batches=9)
                if len(rows) % self.look_every == 0:
                    look(pool)
            self.lengths.append(len(rows))
            code = 143 if k in pool.told else code
            pool.ended[k] = Ended.of(code, submission.log_path(k))
        return pool.ended


class QuickLoader:
    """Composes each kind of search once: 0.3 s for each job would be most of the time."""

    composed: ClassVar[dict[tuple[str, ...], DictConfig]] = {}

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def load_sweep_config(self, master: DictConfig, overrides: list[str]) -> DictConfig:
        key = tuple(overrides)
        if key not in self.composed:
            self.composed[key] = self._loader.load_sweep_config(master, overrides)
        return copy.deepcopy(self.composed[key])


class QuickComposer(Composer):
    def job(self, number: int, overrides: Sequence[str]) -> Job:
        folder = folder_name(overrides, ["experiment"])
        return Job(number=number, folder=folder, overrides=list(overrides))

    def is_finished(self, job: Job) -> bool:
        rows = curve(Path(self.master.hydra.sweep.dir) / job.folder, "val/loss", ended=True)
        return len(rows) == 10


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    made = Jobs()
    monkeypatch.setattr(searching, "run_here", made.run)
    monkeypatch.setattr(sys, "argv", ["train"])
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # a slow disk would be most of the time
    return made


EAGER = OmegaConf.create(
    {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 3, "n_warmup_steps": 1}
)


def run_search(
    folder: Path, *overrides: str, job: str = "train", at_a_time: int = 1, **settings: Any
) -> list[FrozenTrial]:
    loader, master = multirun("train")
    with open_dict(master):
        master.hydra.sweep.dir, master.hydra.job.name = str(folder), job
    given = overrides or ["+experiment=cnn_baseline", LR]
    composer = QuickComposer(QuickLoader(loader), master)  # type: ignore[arg-type]
    search(composer, given, Settings(**DEFAULTS | settings), at_a_time, 1)
    return trials_of(folder)


def essence(trials: Sequence[FrozenTrial]) -> list[tuple[Any, ...]]:
    return [(t.number, t.state, t.params, t.value, t.intermediate_values) for t in trials]


def test_a_search_finds_what_is_good(
    tmp_path: Path, jobs: Jobs, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = run_search(tmp_path, n_trials=25, pruner=None)
    assert len(trials) == len(jobs.rates) == 25
    assert jobs.lengths == [10] * 25
    best = min(trials, key=lambda t: t.value or 0.0)
    assert best.value is not None
    assert best.value < 0.3
    printed = capsys.readouterr().out
    rate = best.params["model.lr"]
    assert f"best: trial {best.number}, val/loss {best.value:.4g}: model.lr={rate}\n" in printed
    assert f"its run: {tmp_path}/lr_{rate}\n" in printed
    assert "25 trials: 25 came to their end, 0 were pruned" in printed


def test_the_same_seed_gives_the_same_trials_whenever_they_are_looked_at(
    tmp_path: Path, jobs: Jobs
) -> None:
    first = essence(run_search(tmp_path / "a", n_trials=9, pruner=EAGER))
    assert {state for _, state, *_ in first} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert min(jobs.lengths) < 10
    assert essence(run_search(tmp_path / "b", n_trials=9, pruner=EAGER, seed=1)) != first
    for jobs.look_every in (3, 100):
        again = run_search(tmp_path / str(jobs.look_every), n_trials=9, pruner=EAGER)
        assert essence(again) == first


def test_a_killed_search_goes_on_and_ends_as_one_that_was_not(tmp_path: Path, jobs: Jobs) -> None:
    undisturbed = essence(run_search(tmp_path / "a", n_trials=9, pruner=EAGER))
    jobs.rates.clear()
    for jobs.kill_before in (0, 4, 7):
        with pytest.raises(KeyboardInterrupt):
            run_search(tmp_path / "b", n_trials=9, pruner=EAGER)
    jobs.kill_before = None
    assert essence(run_search(tmp_path / "b", n_trials=9, pruner=EAGER)) == undisturbed
    assert len(jobs.rates) == 9, "a trial was run twice"
    more = essence(run_search(tmp_path / "b", n_trials=11, pruner=EAGER))
    assert more[:9] == undisturbed
    assert len(more) == 11


def test_trials_without_a_result_are_tried_again_and_those_that_diverge_are_not(
    tmp_path: Path, jobs: Jobs
) -> None:
    jobs.code = lambda rate: 1
    with pytest.raises(GanAugError, match=r"2 of 2 trials failed, lr_.*: it is so .*repeat the"):
        run_search(tmp_path, n_trials=8, at_a_time=2, pruner=None)
    jobs.code = lambda rate: DIVERGED if rate > 1e-3 else 0
    trials = run_search(tmp_path, n_trials=8, at_a_time=2, pruner=None)
    assert [t.number for t in trials] == list(range(8))
    for trial in trials:
        diverged = trial.params["model.lr"] > 1e-3
        assert trial.state == (TrialState.PRUNED if diverged else TrialState.COMPLETE)
    assert {t.state for t in trials} == {TrialState.PRUNED, TrialState.COMPLETE}


def test_a_failure_among_successes_does_not_end_the_search(tmp_path: Path, jobs: Jobs) -> None:
    jobs.code = lambda rate: 1 if len(jobs.rates) == 3 else 0
    with pytest.raises(GanAugError, match="1 of 5 trials failed"):
        run_search(tmp_path, n_trials=5)
    assert len(jobs.rates) == 5


def test_the_same_settings_twice_are_one_job(tmp_path: Path, jobs: Jobs) -> None:
    trials = run_search(
        tmp_path, "model=cnn", "model.lr=1e-3,1e-2", n_trials=6, at_a_time=6, pruner=None
    )
    assert len(jobs.rates) == 2
    assert {(t.params["model.lr"], round(t.value or 0, 3)) for t in trials} == {
        ("0.001", 0.1), ("0.01", 1.1)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_trials": 0}, "n_trials=0"),
        ({"direction": "up"}, "direction=up"),
        *(({"metric": name}, "choose nothing") for name in ("test/auroc", "test_auroc", "Test/x")),
        ({"metric": "quality/kid"}, "is logged by a GAN with"),
        ({"metric": "val/typo"}, "logged none; it logged val/loss"),
        ({"job": "study"}, "searches with gan_aug.train"),
        (
            {"pruner": OmegaConf.create({"_target_": "optuna.pruners.None"})},
            "hydra.sweeper.pruner:",
        ),
    ],
)
def test_bad_settings_are_refused(
    tmp_path: Path, jobs: Jobs, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(GanAugError, match=message) as caught:
        run_search(tmp_path, n_trials=settings.pop("n_trials", 2), **settings)
    assert "\n" not in str(caught.value)


def test_a_gan_is_not_searched_by_what_it_does_not_log(tmp_path: Path, jobs: Jobs) -> None:
    with pytest.raises(GanAugError, match="a GAN logs none; name quality/kid"):
        run_search(tmp_path, "+experiment=dcgan_pneumonia", "model.lr_g=1,2")
    assert not jobs.rates


def test_optuna_missing_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(GanAugError, match=r"pip install 'gan_aug\[search\]'"):
        run_search(tmp_path)


# The search, as a user starts it


def trials_of(folder: Path) -> list[FrozenTrial]:
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "optuna.journal"))
    storage = optuna.storages.JournalStorage(backend)
    return optuna.load_study(study_name="search", storage=storage).trials


REAL = (
    "-m", "hydra/sweeper=optuna", *TINY_CNN, "model.lr=tag(log, interval(1e-4, 1e-1))",
    "model.width=range(2, 7, 2)", "hydra.sweep.dir=s", "hydra.launcher.jobs=1",
    "hydra.sweeper.n_trials=3", "trainer.max_epochs=3",
)  # fmt: skip


@pytest.mark.slow
def test_a_search_killed_in_the_middle_ends_as_one_that_was_not(
    tmp_path: Path, cache_home: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    result = run_command(cache_home, "train", *REAL, cwd=tmp_path / "a", check=True)
    undisturbed = essence(trials_of(tmp_path / "a/s"))
    assert len({str(params) for _, _, params, *_ in undisturbed}) == 3
    assert "best: trial" in result.stdout
    process = start(cache_home, *REAL, cwd=tmp_path / "b")
    # Until the second trains.
    wait_until(lambda: len(list(tmp_path.glob("b/s/*/metrics.csv"))) == 2, process)
    process.kill()
    process.communicate()
    states = [trial.state for trial in trials_of(tmp_path / "b/s")]
    assert states == [TrialState.COMPLETE, TrialState.RUNNING]
    first = read_json(next(tmp_path.glob("b/s/*/run.json")))
    result = run_command(cache_home, "train", *REAL, cwd=tmp_path / "b", check=True)
    assert "s: 2 of 3 trials begun" in result.stdout
    assert essence(trials_of(tmp_path / "b/s")) == undisturbed
    runs = [read_json(path) for path in tmp_path.glob("b/s/*/run.json")]
    assert sorted(run["job"] for run in runs) == [0, 1, 2]
    assert {run["resumed"] for run in runs if run["job"] in (0, 2)} == {0}
    assert first["sweep_folder"] == "s"


@pytest.mark.slow
def test_a_hopeless_learning_rate_is_stopped_early(tmp_path: Path, cache_home: Path) -> None:
    result = run_command(
        cache_home, "train", "-m", "hydra/sweeper=optuna", *TINY_CNN, "model.lr=1e-9,1e-2",
        "hydra.sweep.dir=s", "hydra.launcher.jobs=1", "hydra.sweeper.n_trials=2",
        "trainer.max_epochs=300", "model.patience=null", "hydra.sweeper.pruner.n_startup_trials=1",
        cwd=tmp_path, check=True,
    )  # fmt: skip
    by_rate = {trial.params["model.lr"]: trial for trial in trials_of(tmp_path / "s")}
    assert by_rate["0.01"].state == TrialState.COMPLETE
    assert by_rate["1e-09"].state == TrialState.PRUNED
    assert len(by_rate["1e-09"].intermediate_values) == 3
    record = read_json(tmp_path / "s/lr_1e-09/run.json")
    assert (record["status"], record["reason"]) == (
        "interrupted", "pruned: the search has seen better"
    )  # fmt: skip
    assert not (tmp_path / "s/lr_1e-09/metrics.json").exists()
    assert "interrupted: pruned" in result.stdout
