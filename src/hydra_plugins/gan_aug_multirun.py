"""Hydra plugins of gan_aug: Hydra looks for them in this namespace, at every start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from gan_aug.jobs.compose import Composer


class GridSweeper(BasicSweeper):
    """Hydra's own sweeper; it refuses an empty sweep, and plans one (`plan=true` of a study)."""

    def sweep(self, arguments: list[str]) -> Any:
        """Run all jobs, or print what they would do.

        Raises:
            GanAugError: a setting is swept over no value, so that there are none.
        """
        from gan_aug.jobs.compose import Composer, refuse_empty

        assert self.hydra_context is not None
        loader, every = self.hydra_context.config_loader, [*self._parse_config(), *arguments]
        refuse_empty(every, loader)
        assert self.config is not None
        if OmegaConf.select(self.config, "plan"):  # of a study: nothing is started or written
            from gan_aug.runtime.errors import require

            require("polars", "study")
            overrides = OverridesParser.create(config_loader=loader).parse_overrides(every)
            ((*batch,),) = self.split_arguments(overrides, None)
            composer = Composer(loader, self.config)
            _check_data(composer, batch, 0)
            from gan_aug.study.plan import plan_multirun

            plan_multirun(composer, batch, getattr(self.launcher, "settings", {}))
            return []
        # Hydra writes it in place, and would follow a link that was planted.
        written = Path(str(self.config.hydra.sweep.dir)) / "multirun.yaml"
        if written.is_symlink():
            written.unlink()
        return super().sweep(arguments)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose each kind of job once; the launchers of this package do so themselves."""
        from gan_aug.jobs.compose import Composer

        if not isinstance(self.launcher, _Launcher):
            assert self.hydra_context is not None
            assert self.config is not None
            composer = Composer(self.hydra_context.config_loader, self.config)
            for number, overrides in enumerate(batch):
                composer.config(number, overrides)


def _check_data(composer: Composer, batch: Sequence[Sequence[str]], first: int) -> None:
    """Read the data of a study's draws before torch is loaded, and before any of them starts.

    What is wrong with it is the same for all, and is said once.
    """
    from omegaconf.errors import OmegaConfBaseException

    from gan_aug.jobs.compose import alike

    is_study = composer.master.hydra.job.config_name == "study"
    if is_study and alike(batch) and (missing := composer.missing(batch, first)):
        from gan_aug.arms.check import check_arms
        from gan_aug.data.prepare import load
        from gan_aug.runtime.errors import GanAugError

        try:
            settings: Any = composer.settings(missing[0])
        except OmegaConfBaseException:  # a setting that only a running job has: it looks itself
            return
        try:
            check_arms(settings)
        except GanAugError:  # the job says so, and no data need be read for it
            return
        load(settings.data)


class _Launcher(Launcher):
    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what composing the jobs takes."""
        self.loader, self.config = hydra_context.config_loader, config

    def composer(self) -> Composer:
        """Return what composes the jobs."""
        from gan_aug.jobs.compose import Composer

        return Composer(self.loader, self.config)


class LocalLauncher(_Launcher):
    """Runs jobs on all cores of this machine (`hydra/launcher=local`)."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run all jobs; return when they have ended."""
        from gan_aug.jobs.launching import launch_locally

        composer = self.composer()
        _check_data(composer, job_overrides, initial_job_idx)
        launch_locally(composer, job_overrides, initial_job_idx, **self.settings)
        return []  # Hydra needs nothing of jobs that are done


class SlurmLauncher(_Launcher):
    """Submits jobs to a Slurm cluster (`hydra/launcher=submitit_slurm`)."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Submit all jobs; with wait=true, return when they have ended."""
        from gan_aug.jobs.launching import launch_on_slurm

        launch_on_slurm(self.composer(), job_overrides, initial_job_idx, **self.settings)
        return []


class OptunaSweeper(Sweeper):
    """Searches for the best settings (`hydra/sweeper=optuna`)."""

    def __init__(self, params: Mapping[str, str] | None, **settings: Any) -> None:
        self.params, self.settings = params or {}, settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep the launcher."""
        from hydra.core.plugins import Plugins

        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the search."""
        from gan_aug.jobs.journal import Settings
        from gan_aug.jobs.search import search
        from gan_aug.runtime.errors import GanAugError

        if not isinstance(self.launcher, LocalLauncher):
            raise GanAugError(
                "hydra/sweeper=optuna: runs on one machine; use hydra/launcher=local, on a cluster "
                "within a job of its own with many cores"
            )
        overrides = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        settings = Settings(**self.settings)
        search(self.launcher.composer(), overrides, settings, **self.launcher.settings)
