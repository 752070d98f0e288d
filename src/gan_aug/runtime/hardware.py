"""What a run computes with: its threads, its precision, a GPU.

Weights depend on the number of threads, in the last bits. More threads than free cores are no
small loss: they wait for each other after each of many small operations.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from errno import ENOMEM
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.launched import is_job

if TYPE_CHECKING:
    from gan_aug.runtime.record import Run
    from gan_aug.settings.commands import FittingSettings
    from gan_aug.settings.models import TrainerSettings

F = TypeVar("F", bound="FittingSettings")
AUTO, FULL, MIXED = "auto", "32-true", "bf16-mixed"
_COMPUTES_IN_BF16 = ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16")
"""Processor capabilities: x86's, then ARM's. With the others bf16 is emulated, slower than fp32."""
BOUNDS = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")
"""Environment variables that a run takes no more threads than."""
_LOOK_SECONDS = 0.2
_NEARLY = 0.25
"""What may lack to a whole free core: the kernel counts in hundredths of a second."""


def choose_precision(accelerator: str) -> str:
    """Return bf16-mixed where `trainer.accelerator` computes in bf16, 32-true elsewhere."""
    import torch

    if accelerator != "cpu":
        return MIXED if torch.cuda.is_bf16_supported(including_emulation=False) else FULL
    able = torch.cpu.get_capabilities()
    return MIXED if any(able.get(name, False) for name in _COMPUTES_IN_BF16) else FULL


def check_gpu(trainer: TrainerSettings) -> None:
    """Refuse a trainer that asks for a GPU where there is none."""
    if trainer.accelerator != "gpu":
        return
    import torch

    if not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        built = torch.version.cuda or torch.version.hip
        why = "its driver may be missing" if built else "this torch is built for CPUs alone"
        raise GanAugError(f"trainer=gpu: torch finds no GPU here ({why}); choose trainer=cpu")


def settle_precision(settings: F, before: Iterable[Mapping[str, Any]]) -> F:
    """Return settings with what `trainer.precision=auto` stands for; refuse a missing GPU.

    The first choice in `before`, configurations of earlier parts of the run and of other draws of
    its study, is kept, on whatever machine it was made: the weights of a run and the draws of a
    report must be alike. Without one the choice is this machine's. A kept choice that is slow here
    is told of.
    """
    trainer = settings.trainer
    check_gpu(trainer)
    if trainer.precision != AUTO:
        return settings
    choices = (config.get("trainer", {}).get("precision", AUTO) for config in before)
    kept = next((choice for choice in choices if choice != AUTO), None)
    own = choose_precision(trainer.accelerator)
    precision = kept or own
    if (precision, own) == (MIXED, FULL):
        warn(
            f"trainer.precision={MIXED} is kept from an earlier part or draw; this machine "
            f"emulates it, slower than {FULL}; go on where the hardware computes in bf16"
        )
    return settings.changed(type(settings), {"trainer.precision": precision})


def cores() -> int:
    """Return how many cores this process may use: its affinity, and the limit of its cgroup."""
    return int(min(len(_own_cores()), _cgroup_limit(Path("/"))))


def allowed() -> int:
    """Return how many threads a run may take at most: no more than cores, nor than `BOUNDS`."""
    named = (os.environ.get(name, "").partition(",")[0].strip() for name in BOUNDS)
    return min([cores(), *(int(n) for n in named if n.isdecimal() and int(n) > 0)])


def free(most: int) -> int:
    """Return how many threads find a core of their own now, from 1 to `most`."""
    return max(1, min(most, int(_idle_cores() + _NEARLY))) if most > 1 else 1


def use_threads(run: Run, asked: int | str = AUTO) -> None:
    """Let torch compute with the threads that a run is to have, and record them.

    A run that is gone on with keeps its number, whatever is free now. A job of a multirun takes
    what its launcher gave it: that has counted the others. `asked` is `trainer.threads`.
    """
    most, number = allowed(), run.facts.threads if asked == AUTO else int(asked)
    if asked == AUTO and number is not None and number > most:
        warn(
            f"{run.folder}: was begun with {number} threads and keeps them, though only {most} "
            f"may be used now; trainer.threads={most} is faster, with other weights in the last "
            "bits"
        )
    take_threads(number)
    record_threads(run)


def take_threads(number: int | None = None) -> None:
    """Let torch compute with so many threads; None: as many as are free."""
    import torch

    if number is None:
        number = allowed() if is_job() else free(allowed())
    torch.set_num_threads(number)  # of OpenMP and MKL, whatever the environment says of them


def record_threads(run: Run) -> None:
    """Record how many threads torch computes with; warn where a run had another number before."""
    import torch

    before, now = run.facts.threads, torch.get_num_threads()
    if before not in (None, now):
        warn(
            f"{run.folder}: was begun with {before} threads and goes on with {now}: its weights "
            f"will be those of neither; trainer.threads={before} gives those of the first"
        )
    run.record(threads=now)


def _idle_cores() -> float:
    """Return how many of the cores that this process may use are idle."""
    shares = psutil.cpu_times_percent(interval=_LOOK_SECONDS, percpu=True)
    own = set(_own_cores())
    # Linux counts what waits for a disk apart.
    idle = [s.idle + getattr(s, "iowait", 0.0) for i, s in enumerate(shares) if i in own]
    return sum(idle) / 100


def _own_cores() -> list[int]:
    """Return the cores that this process may use; macOS knows no affinity."""
    affinity = getattr(psutil.Process(), "cpu_affinity", None)
    return list(affinity() if affinity else range(psutil.cpu_count() or 1))


def _cgroup_limit(root: Path) -> float:
    """Return how many cores this process' cgroups, of either version, leave it."""
    limits = [math.inf]
    groups = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            own = groups / controllers / path.lstrip("/")
            within = (f for f in (own, *own.parents) if f.is_relative_to(groups))
            limits += [_limit_of(folder) for folder in within]
    return max(1.0, min(limits))


def _limit_of(folder: Path) -> float:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            quota, period = ((folder / name).read_text().strip() for name in names)
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # none here, or "max"
        return math.inf


def lacks_memory(error: Exception) -> bool:
    """Tell whether there was too little memory, which libraries say in words of their own."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == ENOMEM):
        return True
    said = ("can't allocate memory", "out of memory", "failed to map segment", "new thread")
    return any(words in str(error) for words in said)
