"""From Hydra's list of overrides to jobs that run here or on a cluster."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from gan_aug.jobs.compose import Composer
from gan_aug.jobs.follow import Follower, State
from gan_aug.jobs.local import run_here, slots_of
from gan_aug.jobs.submission import Job, Submission
from gan_aug.run.errors import GanAugError
from gan_aug.run.extras import require
from gan_aug.run.launched import users_environment
from gan_aug.run.sweep_table import leave_table_to_others

if TYPE_CHECKING:
    from gan_aug.jobs.slurm import Queued

_CONFIG = ("dir", "name", "path")
_NOT_OF_A_JOB = ("launcher", "sweeper", "mode", "sweep", "run", "job.num")


def launch_locally(
    loader: ConfigLoader,
    config: DictConfig,
    batch: Sequence[Sequence[str]],
    first: int,
    jobs: int | None,
    threads: int | None,
) -> list[JobReturn]:
    """Run the jobs of a multirun on this machine (conf/hydra/launcher/local.yaml).

    Args:
        loader: Hydra's.
        config: of the multirun.
        batch: each job's overrides.
        first: the number of the batch's first job.
        jobs: how many at a time; None: one a core, or one a GPU.
        threads: of each job; None: see `gan_aug.jobs.local.slots_of`.

    Raises:
        GanAugError: a setting is out of range, or the sweep's folder cannot be written.
    """
    slots = slots_of(config, jobs, threads)
    missing = _missing(Composer(loader, config), batch, first)
    if not missing:
        return [JobReturn(status=JobStatus.COMPLETED) for _ in batch]
    submission = submission_of(config, missing, "local")
    each = slots[0]["OMP_NUM_THREADS"]
    print(
        f"{submission.sweep}: {len(missing)} jobs, {min(len(slots), len(missing))} at a time, "
        f"{each} thread{'s' if each != '1' else ''} each"
        + _finished_before(len(batch) - len(missing)),
        flush=True,
    )
    with users_environment():
        ended = run_here(submission, slots)
    failed = {
        job.folder: f"{ended[k].reason or ended[k].state} (its output: {submission.log_path(k)})"
        for k, job in enumerate(missing)
        if ended[k].state != "done"
    }
    return returns(missing, failed)


def launch_on_slurm(
    loader: ConfigLoader,
    config: DictConfig,
    batch: Sequence[Sequence[str]],
    first: int,
    wait: bool,
    pack: int,
    cpus_per_task: int,
    **settings: object,
) -> list[JobReturn]:
    """Submit the jobs of a multirun to Slurm (conf/hydra/launcher/submitit_slurm.yaml).

    Args:
        loader: Hydra's.
        config: of the multirun.
        batch: each job's overrides.
        first: the number of the batch's first job.
        wait: whether to return only when the jobs have ended.
        pack: jobs of an array task, one after the other.
        cpus_per_task: cores, and threads, of a task.
        settings: of submitit's AutoExecutor.

    Raises:
        GanAugError: a setting is out of range, there is no Slurm, or it refuses the jobs.
    """
    require("submitit", "hydra/launcher=submitit_slurm")
    from gan_aug.jobs import slurm as cluster

    cluster.check(wait, pack, cpus_per_task, settings)
    composer = Composer(loader, config)
    missing = _missing(composer, batch, first)
    queued = cluster.queued(composer.sweep)
    new = [job for job in missing if not _is_queued(job, queued, config)]
    arrays = {queued[job.folder].array for job in missing if job.folder in queued}
    if len(new) < len(missing):
        print(f"{len(missing) - len(new)} jobs are in the queue already")
    if new:
        submission = submission_of(config, new, "slurm")
        with users_environment():
            made = cluster.submit(submission, pack, cpus_per_task, settings)
        arrays |= set(made)
        print(
            f"{submission.sweep}: submitted {len(new)} jobs, {pack} to a task, as Slurm's "
            f"{', '.join(made)}{_finished_before(len(batch) - len(missing))}",
            flush=True,
        )
    if wait and missing:
        cluster.wait_for(composer.sweep, missing, arrays)
        return returns(missing, _not_done(composer.sweep))
    if not missing:
        print(f"{composer.sweep}: all {len(batch)} jobs finished before")
        return [JobReturn(status=JobStatus.COMPLETED) for _ in batch]
    leave_table_to_others()
    print(f"follow them: python -m gan_aug.status study_dir={config.hydra.sweep.dir}")
    return [JobReturn(status=JobStatus.COMPLETED) for _ in batch]


def _is_queued(job: Job, queued: Mapping[str, Queued], config: DictConfig) -> bool:
    """Tell whether a job is in the queue of the cluster.

    Raises:
        GanAugError: its folder is, for a job with other settings.
    """
    found = queued.get(job.folder)
    if found is None:
        return False
    if sorted(found.overrides) != sorted(job.overrides):
        differ = sorted(set(found.overrides) ^ set(job.overrides))
        raise GanAugError(
            f"{config.hydra.sweep.dir}/{job.folder}: is in the queue, as part of Slurm's "
            f"{found.array}, with other settings ({', '.join(differ[:5])}); wait for it, scancel "
            "it, or choose another folder"
        )
    return True


def _missing(composer: Composer, batch: Sequence[Sequence[str]], first: int) -> list[Job]:
    """Return the jobs that have not been finished, with these very settings."""
    jobs = [composer.job(number, overrides) for number, overrides in enumerate(batch, start=first)]
    folders: dict[str, Job] = {}
    for job in jobs:
        if (other := folders.setdefault(job.folder, job)) is not job:
            raise GanAugError(
                f"{composer.sweep / job.folder}: is the folder of job {other.number} "
                f"({' '.join(other.overrides)}) and of job {job.number} "
                f"({' '.join(job.overrides)}); let the folder's name tell them apart"
            )
    return [job for job in jobs if not composer.is_finished(job)]


def submission_of(
    config: DictConfig, jobs: Sequence[Job], launcher: Literal["local", "slurm"]
) -> Submission:
    """Write down jobs of a multirun that are to be run.

    Args:
        config: of the multirun.
        jobs: which.
        launcher: local or slurm.

    Raises:
        GanAugError: the sweep's folder cannot be written.
    """
    options = get_args_parser().parse_args(sys.argv[1:])
    flags = {f"--config-{name}": getattr(options, f"config_{name}") for name in _CONFIG}
    hydra = [f"{flag}={value}" for flag, value in flags.items() if value is not None]
    # Unresolved: what refers to the job has no value yet.
    given = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
    assert isinstance(given, list)
    hydra += [str(o) for o in given if not _is_of_the_multirun(str(o))]
    return Submission.create(
        sweep=Path(config.hydra.sweep.dir),
        command=_command(config),
        arguments=sys.argv[1:],
        hydra=hydra,
        launcher=launcher,
        jobs=jobs,
    )


def _command(config: DictConfig) -> str:
    """Return which command this process is: study, train ...

    hydra.job.name says so too, unless somebody has set it; it is all there is where the command
    was called as a function.
    """
    spec = sys.modules["__main__"].__spec__
    if spec is None or not spec.name.startswith("gan_aug."):
        return str(config.hydra.job.name)
    return spec.name.removeprefix("gan_aug.").removesuffix(".__main__")


def _is_of_the_multirun(override: str) -> bool:
    """Tell whether a setting of Hydra is about the multirun, and no job is to have it."""
    key = override.lstrip("+~").partition("=")[0].removeprefix("hydra").lstrip("/.")
    return any(f"{key}.".startswith(f"{name}.") for name in _NOT_OF_A_JOB)


def _finished_before(n: int) -> str:
    return f"; {n} finished before, skipped" if n else ""


def _not_done(sweep: Path) -> dict[str, str]:
    """Return how jobs stand that are not done, by folder."""
    found = {}
    for job in (job for look in Follower(sweep).look() for job in look.jobs):
        if job.state is not State.DONE:
            log = f" (its output: {job.log})" if job.log else ""
            found[job.folder] = f"{job.reason or job.state}{log}"
    return found


def returns(jobs: Sequence[Job], failed: Mapping[str, str]) -> list[JobReturn]:
    """Return what Hydra is told of jobs that have ended: it raises the first failure.

    Args:
        jobs: which.
        failed: run folder to why its job is not done.
    """
    found = []
    for job in jobs:
        result = JobReturn(overrides=job.overrides, status=JobStatus.COMPLETED)
        if job.folder in failed:
            result.status = JobStatus.FAILED
            result.return_value = GanAugError(f"{job.folder}: {failed[job.folder]}")
        found.append(result)
    return found
