"""A search for the best settings: Optuna chooses them, jobs of a multirun try them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from gan_aug.jobs.compose import Composer
from gan_aug.jobs.curve import curve, refuse_test, result
from gan_aug.jobs.journal import StoredStudy
from gan_aug.jobs.launching import submission_of
from gan_aug.jobs.local import run_here, slots_of
from gan_aug.jobs.pool import JobPool
from gan_aug.jobs.space import Space, space_of
from gan_aug.jobs.submission import Job
from gan_aug.run.errors import GanAugError
from gan_aug.run.extras import require
from gan_aug.run.launched import DIVERGED, users_environment
from gan_aug.run.run_record import RECORD, read_record
from gan_aug.run.seeds import stream_seed
from gan_aug.settings.node import build_plain

if TYPE_CHECKING:
    from optuna import Study, Trial

_PRUNED = "pruned: the search has seen better"


@dataclass(frozen=True)
class Settings:
    """Of conf/hydra/sweeper/optuna.yaml, where they are described."""

    n_trials: int
    metric: str
    direction: Literal["minimize", "maximize"]
    seed: int
    pruner: DictConfig | None
    storage: str | None
    study_name: str

    def check(self) -> None:
        """Check them.

        Raises:
            GanAugError: one is out of range.
        """
        if not isinstance(self.n_trials, int) or self.n_trials < 1:
            raise GanAugError(f"hydra.sweeper.n_trials={self.n_trials}: must be 1 or more")
        if self.direction not in ("minimize", "maximize"):
            raise GanAugError(
                f"hydra.sweeper.direction={self.direction}: must be minimize or maximize"
            )
        refuse_test(self.metric)


def search(
    loader: ConfigLoader,
    config: DictConfig,
    overrides: Sequence[str],
    settings: Settings,
    jobs: int | None,
    threads: int | None,
) -> None:
    """Run trials on this machine until there are as many as are wanted; print the best.

    Args:
        loader: Hydra's.
        config: of the multirun.
        overrides: of hydra.sweeper.params and of the command line.
        settings: of the search.
        jobs: trials at a time; None: one a core, or one a GPU.
        threads: of each; None: see `gan_aug.jobs.local.slots_of`.

    Raises:
        GanAugError: a setting is out of range, the storage file is damaged or of another search,
            or trials failed.
    """
    require("optuna", "hydra/sweeper=optuna")
    import optuna

    settings.check()
    if config.hydra.job.name != "train":
        raise GanAugError(
            f"hydra/sweeper=optuna: searches with gan_aug.train; {config.hydra.job.name} logs no "
            "metric while it runs"
        )
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = space_of(overrides, loader)
    composer = Composer(loader, config)
    example = composer.config(0, space.example())
    _check_metric(settings.metric, example)
    slots = slots_of(example, jobs, threads)
    sweep = Path(config.hydra.sweep.dir)
    path = Path(settings.storage) if settings.storage else sweep / "optuna.journal"
    pruner = settings.pruner and build_plain(settings.pruner, "hydra.sweeper.pruner")
    stored = StoredStudy(path, settings.study_name, settings.direction, settings.metric, space)
    with stored.opened(pruner or optuna.pruners.NopPruner()) as study:
        _Search(study, space, composer, config, settings, slots).run()


def _check_metric(metric: str, config: DictConfig) -> None:
    """Refuse what the model will not log, before hours are spent on it."""
    gan = config.model.kind == "gan"
    if gan and metric.startswith("val/"):
        raise GanAugError(
            f"hydra.sweeper.metric={metric}: a GAN logs none; name quality/kid, say, with "
            "quality.every_n_epochs=75"
        )
    if metric.startswith("quality") and not (gan and config.quality.every_n_epochs):
        raise GanAugError(
            f"hydra.sweeper.metric={metric}: is logged by a GAN with quality.every_n_epochs=75, say"
        )


@dataclass
class _Try:
    """A trial in hand: Optuna's, its values, and how many of its metric's values were reported."""

    trial: Trial
    values: dict[str, object]
    reported: int


@dataclass
class _Tries:
    """The trials that one job tries: several where the sampler chose the same again.

    Attributes:
        job: which.
        tries: the trials.
        stopped: whether the search has stopped it.
        hopeless: whether it came to nothing, or was stopped before its end.
        problem: why it failed otherwise.
    """

    job: Job
    tries: list[_Try] = field(default_factory=list)
    stopped: bool = False
    hopeless: bool = False
    problem: str | None = None


class _Search:
    def __init__(
        self,
        study: Study,
        space: Space,
        composer: Composer,
        config: DictConfig,
        settings: Settings,
        slots: list[dict[str, str]],
    ) -> None:
        self._study, self._space, self._composer = study, space, composer
        self._config, self._settings, self._slots = config, settings, slots
        self._sweep = Path(config.hydra.sweep.dir)
        self._failures: list[str] = []

    def run(self) -> None:
        """Go on with trials that have no result yet, then ask for others."""
        from optuna.trial import Trial, TrialState

        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        print(f"{self._sweep}: {len(self._study.trials)} of {self._settings.n_trials} trials begun")
        todo = []
        for begun in running:
            self._seed_sampler(begun.number)
            todo.append(self._try(Trial(self._study, begun._trial_id)))
        while True:
            while len(todo) < len(self._slots) and self._may_ask():
                todo.append(self._ask())
            batch, todo = todo[: len(self._slots)], todo[len(self._slots) :]
            if not batch:
                break
            self._run_batch(batch)
        self._print_best()
        if self._failures:
            raise GanAugError(
                f"{len(self._failures)} of {len(self._study.trials)} trials failed, "
                f"{self._failures[0]}; repeat the command to try them again"
            )

    def _may_ask(self) -> bool:
        done = [t for t in self._study.get_trials(deepcopy=False) if t.state.is_finished()]
        if self._failures and not done:
            return False  # what is wrong with all would use up the trials
        return len(self._study.get_trials(deepcopy=False)) < self._settings.n_trials

    def _ask(self) -> _Try:
        self._seed_sampler(len(self._study.get_trials(deepcopy=False)))
        return self._try(self._study.ask())

    def _seed_sampler(self, number: int) -> None:
        """Make what is random a function of seed and trial: a search gone on with is the same."""
        from optuna.samplers import TPESampler

        seed = stream_seed("search", self._settings.seed, number)
        self._study.sampler = TPESampler(seed=seed)

    def _try(self, trial: Trial) -> _Try:
        try:
            values = self._space.suggest(trial)
        except ValueError as error:
            raise GanAugError(f"trial {trial.number}: is damaged ({error})") from error
        reported = self._study.get_trials(deepcopy=False)[trial.number].intermediate_values
        return _Try(trial, values, len(reported))

    def _run_batch(self, batch: Sequence[_Try]) -> None:
        found: dict[str, _Tries] = {}
        for one in batch:
            job = self._composer.job(one.trial.number, self._space.overrides(one.values))
            same = found.setdefault(job.folder, _Tries(job))
            if same.job.overrides != job.overrides:
                raise GanAugError(
                    f"{self._sweep}/{job.folder}: is the folder of trials {same.job.number} and "
                    f"{job.number}; let hydra.sweep.subdir tell them apart"
                )
            same.tries.append(one)
        self._launch([t for t in found.values() if not self._composer.is_finished(t.job)])
        for folder, tries in found.items():
            if tries.problem is not None:
                self._failures.append(f"{folder}: {tries.problem}")
                continue
            if tries.stopped and tries.hopeless:
                self._note_why(folder)
            for one in tries.tries:
                self._tell(one, folder, tries.hopeless)

    def _launch(self, missing: Sequence[_Tries]) -> None:
        """Run jobs to their end, or until they are hopeless; note how each ended."""
        if not missing:
            return
        submission = submission_of(self._config, [tries.job for tries in missing], "local")

        def look(pool: JobPool) -> None:
            for k, tries in enumerate(missing):
                if k not in pool.ended and not tries.stopped and self._is_hopeless(tries):
                    tries.stopped = True
                    pool.end(k)

        with users_environment():
            ended = run_here(submission, self._slots, look)
        for k, tries in enumerate(missing):
            how = ended[k]
            if how.exit == DIVERGED or (tries.stopped and how.state == "stopped"):
                tries.hopeless = True
            elif how.state != "done":
                why = how.reason or how.state
                tries.problem = f"{why} (its output: {submission.log_path(k)})"

    def _is_hopeless(self, tries: _Tries) -> bool:
        return any(self._report(one, tries.job.folder, ended=False) for one in tries.tries)

    def _report(self, one: _Try, folder: str, ended: bool) -> bool:
        """Report what a run has logged since; return whether the trial is to be pruned.

        What comes after the value that decided is not looked at, so that it does not matter when
        this is called.
        """
        points = curve(self._sweep / folder, self._settings.metric, ended)
        if one.reported and one.trial.should_prune():
            return True
        for step in range(one.reported, len(points)):
            one.trial.report(points[step][1], step)
            one.reported += 1
            if one.trial.should_prune():
                return True
        return False

    def _tell(self, one: _Try, folder: str, hopeless: bool) -> None:
        """Tell the study how a trial ended."""
        from optuna.trial import TrialState

        name = self._settings.metric
        value = math.nan if hopeless else result(self._sweep / folder, name)
        pruned = hopeless or self._report(one, folder, ended=True)
        if pruned or not math.isfinite(value):
            self._study.tell(one.trial, state=TrialState.PRUNED)
            how = f"pruned after {one.reported} values of {name}" if one.reported else "diverged"
        else:
            self._study.tell(one.trial, value)
            how = f"{name} {value:.4g}"
        print(f"trial {one.trial.number}: {how}: {_shown(one.values)}", flush=True)

    def _note_why(self, folder: str) -> None:
        """Say in run.json why the run was stopped: its table shows that."""
        record = read_record(self._sweep / folder)
        if record is not None and record.status == "interrupted":
            record.with_facts(reason=_PRUNED).write(self._sweep / folder / RECORD)

    def _print_best(self) -> None:
        from optuna.trial import TrialState

        trials = self._study.get_trials(deepcopy=False)
        ended = [t for t in trials if t.state == TrialState.COMPLETE]
        pruned = sum(t.state == TrialState.PRUNED for t in trials)
        print(f"{len(trials)} trials: {len(ended)} came to their end, {pruned} were pruned")
        if not ended:
            return
        best = self._study.best_trial
        print(
            f"best: trial {best.number}, {self._settings.metric} {best.value:.4g}: "
            f"{_shown(best.params)}"
        )
        job = self._composer.job(best.number, self._space.overrides(best.params))
        print(f"its run: {self._sweep / job.folder}")
        print(f"tensorboard --logdir {self._sweep}   # HParams: a row for each trial at its end")


def _shown(values: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items())
