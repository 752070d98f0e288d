"""From Hydra's list of overrides to jobs that run here, one a core or a GPU, or on a cluster."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig, OmegaConf

from gan_aug.jobs.compose import Composer
from gan_aug.jobs.follow import Follower, State
from gan_aug.jobs.pool import Ended, JobPool, check_numbers, threads_of
from gan_aug.jobs.show import watching
from gan_aug.jobs.submission import Job, Submission
from gan_aug.runtime.errors import GanAugError, require
from gan_aug.runtime.hardware import allowed, check_gpu, cores, free
from gan_aug.runtime.sweep_table import leave_table_to_others, note_refused

_REFRESH_SECONDS = 1.0
_CONFIG = ("dir", "name", "path")
_NOT_OF_A_JOB = ("launcher", "sweeper", "mode", "sweep", "run", "job.num")


def launch_locally(
    composer: Composer,
    batch: Sequence[Sequence[str]],
    first: int,
    jobs: int | None,
    threads: int | None,
) -> None:
    """Run the jobs of a multirun on this machine (conf/hydra/launcher/local.yaml).

    `batch` is each job's overrides, `first` the number of its first job; see `slots_of`.
    """
    slots = slots_of(composer.master, jobs, threads)
    missing = composer.missing(batch, first)
    if not missing:
        return
    submission = submission_of(composer.master, missing, "local")
    each = slots[0]["OMP_NUM_THREADS"]
    print(
        f"{submission.sweep}: {len(missing)} jobs, {min(len(slots), len(missing))} at a time, "
        f"{each} thread{'s' if each != '1' else ''} each"
        + _finished_before(len(batch) - len(missing)),
        flush=True,
    )
    ended = run_here(submission, slots)
    failed = {
        job.folder: f"{ended[k].reason} (its output: {submission.log_path(k)})"
        for k, job in enumerate(missing)
        if ended[k].state != "finished"
    }
    note_refused(composer.sweep / folder for folder in failed)
    raise_first(missing, failed)


def slots_of(config: DictConfig, jobs: int | None, threads: int | None) -> list[dict[str, str]]:
    """Return the environment of every job that may run at the same time.

    `jobs` None is one a GPU where the trainer asks for one, else one a core. `threads` None is
    `trainer.threads` where that is a number, else a job's share of the cores that are idle now, but
    no more than OMP_NUM_THREADS. What is no positive number, or no GPU there, is refused.
    """
    check_numbers(jobs=1 if jobs is None else jobs, threads=1 if threads is None else threads)
    asked = OmegaConf.select(config, "trainer.threads")
    if threads is None and isinstance(asked, int):
        threads = asked
    gpus: list[str] = []
    if OmegaConf.select(config, "trainer.accelerator") == "gpu":
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        if named is None:
            import torch

            named = ",".join(map(str, range(torch.cuda.device_count())))
        gpus = [name for name in named.split(",") if name]
        if not gpus:
            check_gpu(config.trainer)
    n = jobs or len(gpus) or max(1, cores() // (threads or 1))
    each = threads or min(allowed(), max(1, free(cores()) // n))
    visible = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus] or [{}]
    return [threads_of(each) | visible[i % len(visible)] for i in range(n)]


def run_here(
    submission: Submission,
    slots: Sequence[dict[str, str]],
    look: Callable[[JobPool], None] = lambda pool: None,
) -> dict[int, Ended]:
    """Run a submission's jobs on this machine; return how each ended, by its position there.

    It shows how they get on, and calls `look` every second, which may end single jobs.
    """
    pool = JobPool(submission, range(len(submission.jobs)), slots)
    with submission.lock, watching(submission.sweep, submission.jobs) as show:
        try:
            pool.start()
            while not pool.wait(_REFRESH_SECONDS):
                look(pool)
                show()
        except BaseException:
            pool.stop()
            raise
    if pool.faults:
        raise pool.faults[0]
    return pool.ended


def launch_on_slurm(
    composer: Composer,
    batch: Sequence[Sequence[str]],
    first: int,
    wait: bool,
    pack: int,
    cpus_per_task: int,
    **settings: object,
) -> None:
    """Submit the jobs of a multirun to Slurm (conf/hydra/launcher/submitit_slurm.yaml).

    `batch` is each job's overrides, `first` the number of its first job. `settings` are those of
    submitit's AutoExecutor.
    """
    require("submitit", "hydra/launcher=submitit_slurm")
    from gan_aug.jobs import slurm as cluster

    cluster.check(wait, pack, cpus_per_task, settings)
    missing = composer.missing(batch, first)
    queued = cluster.queued(composer.sweep)
    _refuse_other_settings(composer.sweep, missing, queued)
    new = [job for job in missing if job.folder not in queued]
    arrays = {queued[job.folder][1] for job in missing if job.folder in queued}
    if len(new) < len(missing):
        print(f"{len(missing) - len(new)} jobs are in the queue already")
    if new:
        submission = submission_of(composer.master, new, "slurm")
        made = cluster.submit(submission, pack, cpus_per_task, settings)
        arrays |= set(made)
        print(
            f"{submission.sweep}: submitted {len(new)} jobs, {pack} to a task, as Slurm's "
            f"{', '.join(made)}{_finished_before(len(batch) - len(missing))}",
            flush=True,
        )
    if wait and missing:
        cluster.wait_for(composer.sweep, missing, arrays)
        raise_first(missing, _not_done(composer.sweep))
    elif missing:
        leave_table_to_others()
        print(f"follow them: python -m gan_aug.status study_dir={composer.sweep}")
    else:
        print(f"{composer.sweep}: all {len(batch)} jobs finished before")


def _refuse_other_settings(
    sweep: Path, jobs: Sequence[Job], queued: Mapping[str, tuple[Job, str]]
) -> None:
    for job in jobs:
        there, array = queued.get(job.folder, (job, ""))
        if sorted(there.overrides) != sorted(job.overrides):
            differ = sorted(set(there.overrides) ^ set(job.overrides))
            raise GanAugError(
                f"{sweep / job.folder}: is in the queue, as part of Slurm's {array}, with "
                f"other settings ({', '.join(differ[:5])}); wait for it, scancel it, or choose "
                "another folder"
            )


def submission_of(
    config: DictConfig, jobs: Sequence[Job], launcher: Literal["local", "slurm"]
) -> Submission:
    """Write down jobs of a multirun that are to be run."""
    options = get_args_parser().parse_args(sys.argv[1:])
    flags = {f"--config-{name}": getattr(options, f"config_{name}") for name in _CONFIG}
    hydra = [f"{flag}={value}" for flag, value in flags.items() if value is not None]
    # Unresolved: what refers to the job has no value yet.
    given = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
    assert isinstance(given, list)
    hydra += [str(o) for o in given if not _is_of_the_multirun(str(o))]
    # hydra.job.name says so too, unless somebody has set it; it is all there is where the command
    # was called as a function.
    spec = sys.modules["__main__"].__spec__
    command = str(config.hydra.job.name)
    if spec is not None and spec.name.startswith("gan_aug."):
        command = spec.name.removeprefix("gan_aug.").removesuffix(".__main__")
    return Submission(
        command=command,
        arguments=sys.argv[1:],
        hydra=hydra,
        launcher=launcher,
        submitted=time.time(),
        jobs=list(jobs),
    ).keep_in(Path(config.hydra.sweep.dir))


def _is_of_the_multirun(override: str) -> bool:
    """Tell whether a setting of Hydra is about the multirun, and no job is to have it."""
    key = override.lstrip("+~").partition("=")[0].removeprefix("hydra").lstrip("/.")
    return any(f"{key}.".startswith(f"{name}.") for name in _NOT_OF_A_JOB)


def _finished_before(n: int) -> str:
    return f"; {n} finished before, skipped" if n else ""


def _not_done(sweep: Path) -> dict[str, str]:
    jobs = (job for look in Follower(sweep).look() for job in look.jobs)
    return {
        job.folder: f"{job.reason or job.state}" + (f" (its output: {job.log})" if job.log else "")
        for job in jobs
        if job.state is not State.DONE
    }


def raise_first(jobs: Sequence[Job], failed: Mapping[str, str]) -> None:
    """Raise the first failure as GanAugError, if there is one; `failed` is folder to reason.

    Hydra would raise it too, behind a line of its own.
    """
    for job in jobs:
        if job.folder in failed:
            raise GanAugError(f"{job.folder}: {failed[job.folder]}")
