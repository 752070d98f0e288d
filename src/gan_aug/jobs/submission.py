"""What one `-m` command asks for, written down where its jobs and whoever follows them read it.

SWEEP/.jobs/NAME/ has jobs.json, the K.log of what each job K printed, and a lease while the command
that starts them runs. On Slurm it also has slurm.json (the arrays), K.ended (how K last ended),
report_tries, and slurm/ with submitit's files. A job's own run.json says how it stands.
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import PrivateAttr, field_validator

from gan_aug.runtime.arguments import quoted
from gan_aug.runtime.find import JOBS
from gan_aug.runtime.launched import COMMAND
from gan_aug.runtime.lock import Lock
from gan_aug.runtime.record import new_record
from gan_aug.runtime.run_record import RunRecord
from gan_aug.runtime.stored_model import Part, Stored

ASKED = "jobs.json"
_REMEDY = "remove it and repeat the command of its jobs"


class Job(Part):
    """One job of a multirun: Hydra's number, its run folder in the sweep's, all its overrides."""

    number: int
    folder: str
    overrides: list[str]

    @field_validator("folder")
    @classmethod
    def _is_inside(cls, folder: str) -> str:
        if not folder or not folder.isprintable():
            raise ValueError("is no name of a folder")
        if Path(folder).is_absolute() or ".." in Path(folder).parts:
            raise ValueError("lies outside its own folder")
        return folder


class Submission(Stored):
    """The jobs that one command (study, train ...) starts; finished ones are left out.

    `arguments` are those of the whole multirun, `hydra` settings of Hydra itself that each job is
    given. `submitted` is when, in seconds since 1970.
    """

    WHAT: ClassVar[str] = "list of jobs"

    command: str
    arguments: list[str]
    hydra: list[str]
    launcher: Literal["local", "slurm"]
    submitted: float
    jobs: list[Job]
    _folder: Path = PrivateAttr(default=Path())

    def keep_in(self, sweep: Path) -> Self:
        """Write jobs.json into a new folder of the sweep's; return the submission."""
        at = datetime.fromtimestamp(self.submitted, UTC)
        name = f"{at:%Y-%m-%d_%H-%M-%S}_{socket.gethostname()}_{os.getpid()}"
        self._folder = sweep / JOBS / name
        self.write(self._folder / ASKED)
        return self

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read SWEEP/.jobs/NAME; GanAugError where it is damaged or names folders outside SWEEP."""
        made = cls.read(folder / ASKED, _REMEDY)
        made._folder = folder
        return made

    @property
    def folder(self) -> Path:
        """SWEEP/.jobs/NAME."""
        return self._folder

    @property
    def sweep(self) -> Path:
        """The folder of the study or sweep."""
        return self._folder.parents[1]

    @property
    def lock(self) -> Lock:
        """What the command holds while it starts jobs and waits for them."""
        return Lock(self._folder / ".lease", guards=self._folder)

    def run_folder(self, k: int) -> Path:
        """Return the run folder of job k of this submission."""
        return self.sweep / self.jobs[k].folder

    def log_path(self, k: int) -> Path:
        """Return the file that takes what job k prints."""
        return self._folder / f"{k}.log"

    def command_line(self, k: int) -> list[str]:
        """Return job k as a command of its own, which anyone may repeat."""
        job = self.jobs[k]
        own = {"hydra.run.dir": self.run_folder(k), "hydra.sweep.dir": self.sweep}
        return [
            *(sys.executable, "-m", f"gan_aug.{self.command}"),
            *self.hydra,
            *job.overrides,
            *(quoted(key, value) for key, value in own.items()),
            f"hydra.job.num={job.number}",
            "hydra.mode=RUN",  # a configuration may say MULTIRUN
        ]

    def environment(self) -> dict[str, str]:
        """Return what tells a job that it is one, and of which command."""
        return {COMMAND: shlex.join(self._multirun)}

    @property
    def _multirun(self) -> list[str]:
        return ["python", "-m", f"gan_aug.{self.command}", *self.arguments]

    def unborn(self, k: int) -> RunRecord:
        """Return the record of job k if its process ended before it could write one."""
        job = self.jobs[k]
        return new_record(self._multirun, job.overrides, job.number, str(self.sweep), {})


def submissions(sweep: Path) -> list[Path]:
    """Return the folders of all submissions of a sweep, oldest first."""
    return sorted(path.parent for path in (sweep / JOBS).glob(f"*/{ASKED}"))
