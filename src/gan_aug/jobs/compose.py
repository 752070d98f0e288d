"""From a multirun's overrides to its jobs: folders, and which of them are finished.

Hydra composes every job before the first starts, 0.3 s each (facebookresearch/hydra 1324). Jobs
that differ in nothing but draw= and seed= need one composition: these two are set in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from gan_aug.jobs.submission import Job
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.run_record import differences, read_record
from gan_aug.settings.commands import COMMANDS, kind_of
from gan_aug.settings.whole import Whole, plain_of, validate

_NUMBER = re.compile(r"(draw|seed)=\d+")
"""An override that only numbers a job, so that jobs are composed alike but for it."""


def refuse_empty(overrides: Sequence[str], loader: ConfigLoader) -> None:
    """Refuse a sweep over no value: Hydra would run no job, and end as if all had been well.

    Of two overrides for a key the later counts.
    """
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
    for override in {one.get_key_element(): one for one in parsed}.values():
        if override.is_discrete_sweep() and not list(override.sweep_string_iterator()):
            raise GanAugError(
                f"{override.input_line}: has no values, so there is no job; write "
                "range(START, STOP) with START below STOP, or values with commas between them"
            )


def _kind(overrides: Sequence[str]) -> tuple[str, ...]:
    return tuple(override for override in overrides if not _NUMBER.fullmatch(override))


def alike(batch: Sequence[Sequence[str]]) -> bool:
    """Tell whether jobs, each its overrides, differ in nothing but draw= and seed=."""
    return len(set(map(_kind, batch))) == 1


def _without_hydra(config: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


class Composer:
    """Composes the jobs of a multirun, whose configuration is `master`, once for each kind."""

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self.loader, self.master = loader, master
        self.sweep = Path(master.hydra.sweep.dir)
        named = OmegaConf.to_container(master.hydra.sweep, resolve=False)
        self._alone = "hydra.job.override_dirname" in str(named)  # Hydra makes it while composing
        self._kinds: dict[tuple[str, ...], DictConfig] = {}

    def config(self, number: int, overrides: Sequence[str]) -> DictConfig:
        """Return a job's configuration, valid until the next one of its kind is asked for."""
        kind = tuple(overrides) if self._alone else _kind(overrides)
        if kind not in self._kinds:
            composed = self.loader.load_sweep_config(self.master, list(overrides))
            if (command := str(composed.hydra.job.config_name)) in COMMANDS:
                with suppress(OmegaConfBaseException):  # what only a running job has
                    validate(_without_hydra(composed), kind_of(command))
            self._kinds[kind] = composed
        config = self._kinds[kind]
        with open_dict(config):
            config.hydra.job.num = number
            config.hydra.job.id = str(number)
            # All else is alike in a kind; to set the whole list would take most of the time.
            for i, override in enumerate(overrides):
                if _NUMBER.fullmatch(override):
                    config.hydra.overrides.task[i] = override
                    key, value = override.split("=")
                    config[key] = int(value)
        return config

    def settings(self, job: Job) -> Whole:
        """Return a job's settings, as its own command would have them."""
        config = self.config(job.number, job.overrides)
        return validate(_without_hydra(config), kind_of(str(config.hydra.job.config_name)))

    def job(self, number: int, overrides: Sequence[str]) -> Job:
        """Return a job with its run folder."""
        folder = str(self.config(number, overrides).hydra.sweep.subdir)
        return Job(number=number, folder=folder, overrides=list(overrides))

    def is_finished(self, job: Job) -> bool:
        """Tell whether the job's run folder holds it, finished, with these very settings."""
        record = read_record(self.sweep / job.folder)
        if record is None or not record.finished:
            return False
        try:
            given = plain_of(_without_hydra(self.config(job.number, job.overrides)))
        except OmegaConfBaseException:  # a setting that only a running job has: it looks itself
            return False
        return not any(differences(record.given, given))

    def missing(self, batch: Sequence[Sequence[str]], first: int) -> list[Job]:
        """Return the jobs not finished with these very settings; refuse two of one folder.

        `batch` is each job's overrides, `first` the number of its first job.
        """
        jobs = [self.job(number, overrides) for number, overrides in enumerate(batch, first)]
        folders: dict[str, Job] = {}
        for job in jobs:
            if (other := folders.setdefault(job.folder, job)) is not job:
                raise GanAugError(
                    f"{self.sweep / job.folder}: is the folder of job {other.number} "
                    f"({' '.join(other.overrides)}) and of job {job.number} "
                    f"({' '.join(job.overrides)}); let the folder's name tell them apart"
                )
        return [job for job in jobs if not self.is_finished(job)]
