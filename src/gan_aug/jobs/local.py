"""All cores of one machine: a job a core, one thread each, or a job a GPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from omegaconf import DictConfig, OmegaConf

from gan_aug.jobs.pool import Ended, JobPool, check_numbers, threads_of
from gan_aug.jobs.show import watching
from gan_aug.jobs.submission import Submission
from gan_aug.run.precision import check_gpu
from gan_aug.run.threads import allowed, cores, free

_REFRESH_SECONDS = 1.0


def slots_of(config: DictConfig, jobs: int | None, threads: int | None) -> list[dict[str, str]]:
    """Return the environment of every job that may run at the same time.

    Args:
        config: of the multirun.
        jobs: how many at a time; None: one a GPU where the trainer asks for one, else one a core.
        threads: of each job; None: `trainer.threads` where that is a number, else its share of the
            cores that are idle now, but no more than OMP_NUM_THREADS.

    Raises:
        GanAugError: jobs or threads are no positive number, or there is no GPU.
    """
    check_numbers(jobs=1 if jobs is None else jobs, threads=1 if threads is None else threads)
    asked = OmegaConf.select(config, "trainer.threads")
    if threads is None and isinstance(asked, int):
        threads = asked
    on_gpus = OmegaConf.select(config, "trainer.accelerator") == "gpu"
    gpus = _gpus() if on_gpus else []
    if on_gpus and not gpus:
        check_gpu(config.trainer)
    n = jobs or len(gpus) or max(1, cores() // (threads or 1))
    each = threads or min(allowed(), max(1, free(cores()) // n))
    slots = [threads_of(each) for _ in range(n)]
    for i, slot in enumerate(slots):
        if gpus:
            slot["CUDA_VISIBLE_DEVICES"] = gpus[i % len(gpus)]
    return slots


def _gpus() -> list[str]:
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name]
    import torch

    return [str(i) for i in range(torch.cuda.device_count())]


def run_here(
    submission: Submission,
    slots: Sequence[dict[str, str]],
    look: Callable[[JobPool], None] = lambda pool: None,
) -> dict[int, Ended]:
    """Run a submission's jobs on this machine, and show how they get on.

    Args:
        submission: the jobs.
        slots: from `slots_of`.
        look: called every second; it may end single jobs.

    Returns:
        How each ended, by its position in `submission.jobs`.

    Raises:
        OSError: the jobs' files cannot be written.
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
