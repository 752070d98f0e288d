"""A search for the best settings: Optuna chooses them, jobs of a multirun try them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from gan_aug.jobs.compose import Composer
from gan_aug.jobs.curve import curve, result
from gan_aug.jobs.journal import Settings, Space, opened, space_of
from gan_aug.jobs.launching import run_here, slots_of, submission_of
from gan_aug.jobs.pool import JobPool
from gan_aug.jobs.submission import Job
from gan_aug.runtime.errors import GanAugError, require
from gan_aug.runtime.launched import DIVERGED
from gan_aug.runtime.run_record import RECORD, read_record
from gan_aug.runtime.seeds import stream_seed
from gan_aug.settings.base import build_plain

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

_PRUNED = "pruned: the search has seen better"


def search(
    composer: Composer,
    overrides: Sequence[str],
    settings: Settings,
    jobs: int | None,
    threads: int | None,
) -> None:
    """Run trials on this machine until there are as many as are wanted; print the best.

    `composer` makes their jobs. `overrides` are those of hydra.sweeper.params and of the command
    line. Of `jobs` and `threads` see `slots_of`: a trial is a job. Trials that failed are an error
    at the end.
    """
    require("optuna", "hydra/sweeper=optuna")
    import optuna

    n, direction = settings.n_trials, settings.direction
    if not isinstance(n, int) or n < 1:
        raise GanAugError(f"hydra.sweeper.n_trials={n}: must be 1 or more")
    if direction not in ("minimize", "maximize"):
        raise GanAugError(f"hydra.sweeper.direction={direction}: must be minimize or maximize")
    if (command := composer.master.hydra.job.name) != "train":
        raise GanAugError(
            f"hydra/sweeper=optuna: searches with gan_aug.train; {command} logs no metric while it "
            "runs"
        )
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = space_of(overrides, composer.loader)
    example = composer.config(0, space.example())
    _check_metric(settings.metric, example)
    slots = slots_of(example, jobs, threads)
    path = Path(settings.storage) if settings.storage else composer.sweep / "optuna.journal"
    pruner = settings.pruner and build_plain(settings.pruner, "hydra.sweeper.pruner")
    with opened(path, settings, space, pruner or optuna.pruners.NopPruner()) as study:
        _Search(study, space, composer, settings, slots).run()


def _check_metric(metric: str, config: DictConfig) -> None:
    """Refuse what the model will not log, before hours are spent, and what may choose nothing."""
    if metric.lower().startswith("test"):  # rule 5 of measurement
        raise GanAugError(
            f"hydra.sweeper.metric={metric}: test images choose nothing; name a metric of "
            "validation, as val/loss or quality/kid"
        )
    gan = config.model.kind == "gan"
    if config.model.kind == "generator":
        raise GanAugError(
            f"hydra.sweeper.metric={metric}: model={config.model.name} is no GAN and logs nothing "
            "while it is fitted; leave hydra/sweeper=optuna out, and name the values with -m"
        )
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
class _Tried:
    """A job, and the trials that it tries: several where the sampler chose the same again.

    It is `hopeless` where it came to nothing, or the search `stopped` it before its end. `problem`
    is why it failed otherwise.
    """

    job: Job
    trials: list[Trial] = field(default_factory=list)
    stopped: bool = False
    hopeless: bool = False
    problem: str | None = None


@dataclass
class _Search:
    study: Study
    space: Space
    composer: Composer
    settings: Settings
    slots: list[dict[str, str]]
    failures: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Go on with trials that have no result yet, then ask for others."""
        from optuna.trial import TrialState

        running = [t for t in self._trials() if t.state == TrialState.RUNNING]
        wanted = self.settings.n_trials
        print(f"{self.composer.sweep}: {len(self._trials())} of {wanted} trials begun")
        todo = [self._trial(begun) for begun in running]
        while True:
            while len(todo) < len(self.slots) and self._may_ask():
                todo.append(self._trial())
            batch, todo = todo[: len(self.slots)], todo[len(self.slots) :]
            if not batch:
                break
            self._run_batch(batch)
        self._print_best()
        if self.failures:
            raise GanAugError(
                f"{len(self.failures)} of {len(self._trials())} trials failed, "
                f"{self.failures[0]}; repeat the command to try them again"
            )

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def _may_ask(self) -> bool:
        if self.failures and not any(trial.state.is_finished() for trial in self._trials()):
            return False  # what is wrong with all would use up the trials
        return len(self._trials()) < self.settings.n_trials

    def _trial(self, begun: FrozenTrial | None = None) -> Trial:
        """Return a trial that was begun, or a new one, with a value of each searched setting.

        What is random is a function of seed and trial: a search that is gone on with is the same.
        """
        from optuna.samplers import TPESampler
        from optuna.trial import Trial

        number = len(self._trials()) if begun is None else begun.number
        self.study.sampler = TPESampler(seed=stream_seed("search", self.settings.seed, number))
        trial = self.study.ask() if begun is None else Trial(self.study, begun._trial_id)
        try:
            self.space.suggest(trial)
        except ValueError as error:
            raise GanAugError(f"trial {number}: is damaged ({error})") from error
        return trial

    def _run_batch(self, batch: Sequence[Trial]) -> None:
        by_folder: dict[str, _Tried] = {}
        for trial in batch:
            job = self.composer.job(trial.number, self.space.overrides(trial.params))
            same = by_folder.setdefault(job.folder, _Tried(job))
            if same.job.overrides != job.overrides:
                raise GanAugError(
                    f"{self.composer.sweep}/{job.folder}: is the folder of trials "
                    f"{same.job.number} and {job.number}; let hydra.sweep.subdir tell them apart"
                )
            same.trials.append(trial)
        self._launch([t for t in by_folder.values() if not self.composer.is_finished(t.job)])
        for folder, tried in by_folder.items():
            if tried.problem is not None:
                self.failures.append(f"{folder}: {tried.problem}")
                continue
            path = self.composer.sweep / folder
            record = read_record(path) if tried.stopped and tried.hopeless else None
            if record is not None and record.status == "interrupted":  # its table says why
                record.with_facts(reason=_PRUNED).write(path / RECORD)
            for trial in tried.trials:
                self._tell(trial, path, tried.hopeless)

    def _launch(self, missing: Sequence[_Tried]) -> None:
        """Run jobs to their end, or until they are hopeless; note how each ended."""
        if not missing:
            return
        submission = submission_of(self.composer.master, [tried.job for tried in missing], "local")

        def look(pool: JobPool) -> None:
            for k, tried in enumerate(missing):
                folder, runs = submission.run_folder(k), k not in pool.ended and not tried.stopped
                if runs and any(self._report(t, folder, ended=False) for t in tried.trials):
                    tried.stopped = True
                    pool.end(k)

        ended = run_here(submission, self.slots, look)
        for k, tried in enumerate(missing):
            how = ended[k]
            if how.exit == DIVERGED or (tried.stopped and how.state == "interrupted"):
                tried.hopeless = True
            elif how.state != "finished":
                tried.problem = f"{how.reason} (its output: {submission.log_path(k)})"

    def _report(self, trial: Trial, folder: Path, ended: bool) -> bool:
        """Report what a run has logged since; return whether the trial is to be pruned.

        What comes after the value that decided is not looked at, so that it does not matter when
        this is called.
        """
        points = curve(folder, self.settings.metric, ended)
        reported = self._reported(trial)
        if reported and trial.should_prune():
            return True
        for step in range(reported, len(points)):
            trial.report(points[step][1], step)
            if trial.should_prune():
                return True
        return False

    def _reported(self, trial: Trial) -> int:
        return len(self._trials()[trial.number].intermediate_values)

    def _tell(self, trial: Trial, folder: Path, hopeless: bool) -> None:
        from optuna.trial import TrialState

        name = self.settings.metric
        value = math.nan if hopeless else result(folder, name)
        pruned = hopeless or self._report(trial, folder, ended=True)
        if pruned or not math.isfinite(value):
            reported = self._reported(trial)
            self.study.tell(trial, state=TrialState.PRUNED)
            how = f"pruned after {reported} values of {name}" if reported else "diverged"
        else:
            self.study.tell(trial, value)
            how = f"{name} {value:.4g}"
        print(f"trial {trial.number}: {how}: {_shown(trial.params)}", flush=True)

    def _print_best(self) -> None:
        from optuna.trial import TrialState

        states = [trial.state for trial in self._trials()]
        ended, pruned = (states.count(s) for s in (TrialState.COMPLETE, TrialState.PRUNED))
        print(f"{len(states)} trials: {ended} came to their end, {pruned} were pruned")
        if not ended:
            return
        best = self.study.best_trial
        print(
            f"best: trial {best.number}, {self.settings.metric} {best.value:.4g}: "
            f"{_shown(best.params)}"
        )
        job = self.composer.job(best.number, self.space.overrides(best.params))
        print(f"its run: {self.composer.sweep / job.folder}")
        print(
            f"tensorboard --logdir {self.composer.sweep}   # HParams: a row for each trial at its "
            "end"
        )


def _shown(values: Mapping[str, object]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items())
