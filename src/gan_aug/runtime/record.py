"""The run folder: run.json with status and provenance, the resolved config, and resuming."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from gan_aug.runtime.errors import GanAugError, one_line, warn
from gan_aug.runtime.files import claim, not_writable, write_text
from gan_aug.runtime.launched import COMMAND, WAIT, is_job
from gan_aug.runtime.lock import Lock, Lost, is_held
from gan_aug.runtime.progress import PROGRESS
from gan_aug.runtime.run_record import RECORD, RunRecord, Status, differences, read_record
from gan_aug.runtime.terminal import console, printable
from gan_aug.settings.alike import MACHINE
from gan_aug.settings.base import Plain
from gan_aug.settings.whole import Whole, among

PACKAGES = ("gan_aug", "torch", "torchvision", "lightning", "hydra-core", "torchmetrics", "numpy")
LOCK = ".lease"
STOPPED = "stopped from outside; can go on"
ANOTHER_STUDY = "begin another study, with a name= or study_dir= of its own"


def _machine(config: Plain) -> str:
    name = f"{platform.system()} {platform.machine()}"
    if (config.get("trainer") or {}).get("accelerator") == "gpu":
        import torch

        if torch.cuda.is_available():
            name = f"{name}, {torch.cuda.get_device_name()}"
    return name


def _git_commit() -> str | None:
    """Return the commit of the source tree this code runs from, None for an installed wheel."""
    source = Path(__file__).resolve().parents[2]
    if source.name != "src":
        return None
    command = ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() or None


class Busy(GanAugError):
    """Another process works in the folder."""

    paragraph = "stopped"

    def __init__(self, folder: Path, owner: str, elsewhere: str) -> None:
        super().__init__(
            f"{folder}: another process is running in this folder ({owner}, by {folder / LOCK}); "
            f"wait for it, end it, or {elsewhere}"
        )
        self.folder = folder


class Run:
    """One command's output folder.

    Settings, or groups of them, in which an earlier part of the run `may_differ`, and those that
    may and for which a finished run is opened once more (`redo`). Where there is nothing left to
    do, the machine may be another. `anew` does a finished run once more whatever is the same: what
    it reads may have changed. Without `folder` it is the one that Hydra chose for this job, and a
    line says what is run.

    Attributes:
        config: the resolved configuration as plain containers; see `settled`.
        finished: whether an earlier command already did all of it.
        before: the settled configuration of an earlier part of the run, where one left results.
        away: services that did not answer: its other fits do not wait for them again.
        facts: what run.json says of it now; there once it is entered.
    """

    facts: RunRecord

    def __init__(
        self,
        settings: Whole,
        may_differ: tuple[str, ...] = (),
        redo: tuple[str, ...] = (),
        anew: bool = False,
        folder: Path | None = None,
    ) -> None:
        self.folder = folder or Path(HydraConfig.get().runtime.output_dir)
        self._says, self._anew = folder is None, anew
        self._lock = _lock(self.folder)
        self._may_differ, self._redo = may_differ, redo
        self._resume = bool(getattr(settings, "resume", False))
        self._verbose = bool(getattr(settings, "verbose", False))
        self.config = self._given = settings.plain()
        # How to give this command a folder of its own; the draws of a study share one.
        study = "study_dir" in self.config
        self._elsewhere = ANOTHER_STUDY if study else "choose another hydra.run.dir"
        self.finished = False
        self.before: list[Plain] = []
        self.away = set[str]()
        self._earlier: RunRecord | None = None
        self._seconds_before = 0.0

    def __enter__(self) -> Run:
        """Claim the folder, or raise `Busy`; refuse a run with other settings."""
        if not claim(self._lock, wait=WAIT in os.environ):
            raise Busy(self.folder, self._lock.owner, self._elsewhere)
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        if self._says and not self.finished:
            try:
                self._show()
            except BaseException as error:  # nobody reads it, say
                self.__exit__(type(error), error, None)
                raise
        return self

    def look(self) -> None:
        """Find what an earlier command left there, and refuse another run; nothing is written.

        Raises:
            GanAugError: the folder holds a run with other settings.
        """
        earlier = self._earlier = read_record(self.folder)
        if earlier is None:
            return
        # An earlier command may have left no more than records of how it failed. With a dot begin
        # .hydra, locks, and what a killed process was writing.
        names = (p.name for p in self.folder.iterdir() if p.suffix != ".log")
        has_work = any(name not in (RECORD, PROGRESS) and name[0] != "." for name in names)
        if has_work:
            self.before = [earlier.config]
        differing = list(differences(earlier.given, self._given))
        again = [key for key, *_ in differing if among(key, self._redo)]
        free = self._may_differ + self._redo
        if earlier.finished and not (again or self._anew):
            free += MACHINE
        changed = [
            f"{key}: {before} then, {after} now"
            for key, before, after in differing
            if not among(key, free)
        ]
        if changed and has_work:
            raise GanAugError(
                f"{self.folder}: holds a run with other settings ({', '.join(changed[:5])}); "
                f"{self._elsewhere}, or repeat its command to go on with it"
            )
        self.finished = earlier.finished and not (again or self._anew)
        if earlier.finished and again:
            print(f"{self.folder}: opened again for {printable(', '.join(again[:5]))}")

    def _open(self) -> None:
        self.look()
        earlier = self._earlier
        if earlier is not None:
            self._seconds_before = seconds_of(earlier, self.folder)
        elif self._resume and not _in_sweep():
            raise GanAugError(f"resume=true: {self.folder} holds no run to go on with")
        self._started = time.monotonic()
        if earlier is not None and self.finished:
            self.facts = earlier
            return
        hydra, swept = HydraConfig.get(), _in_sweep()
        own = ["python", "-m", f"gan_aug.{hydra.job.name}", *sys.argv[1:]]
        self.facts = new_record(
            shlex.split(os.environ[COMMAND]) if is_job() else own,
            list(hydra.overrides.task),
            hydra.job.num if swept else None,
            hydra.sweep.dir if swept else None,
            self.config,
        )
        kept: dict[str, object] = {}
        if earlier is not None:
            kept = {"started": earlier.started, "resumed": earlier.resumed + 1}
            if self.before:
                kept |= {"threads": earlier.threads, "synthetic": earlier.synthetic}
        self.record(**kept)
        for name, content in (
            ("config", OmegaConf.create(self.config)),
            ("overrides", hydra.overrides.task),
            ("hydra", {"hydra": hydra}),
        ):
            write_text(self.folder / ".hydra" / f"{name}.yaml", OmegaConf.to_yaml(content))

    def _show(self) -> None:
        """Say in a line what is run; with verbose=true all settings."""
        print(f"{self.folder}: {' '.join(self.facts.overrides) or self.config['name']}")
        if self._verbose:
            from rich.syntax import Syntax

            text = OmegaConf.to_yaml(OmegaConf.create(self.config))
            console().print(Syntax(text, "yaml", background_color="default"))

    def settled(self, settings: Whole) -> None:
        """Take over settings that the data has settled; run.json keeps those given beside them."""
        self.config = settings.plain()
        self.record(config=self.config)

    def record(self, **facts: Any) -> None:
        """Add facts, as plain containers, to run.json."""
        seconds = round(self._seconds_before + time.monotonic() - self._started, 3)
        self.facts = self.facts.with_facts(**facts, seconds=seconds)
        self.facts.write(self.folder / RECORD)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Record how it ended, unless another process has taken the folder over.

        An OSError that names no file becomes a GanAugError.
        """
        clearer, nobody_reads = None, isinstance(error, BrokenPipeError)
        if isinstance(error, OSError) and error.filename is None and not nobody_reads:
            clearer = not_writable(self.folder, error)
        try:
            if not self.finished and not isinstance(error, Lost):
                self._record_end(clearer or error)
        finally:
            self._lock.release()
        if clearer is not None:
            raise clearer from error

    def _record_end(self, error: BaseException | None) -> None:
        if error is None:
            self.record(status="finished", reason=None)
        elif self._earlier is not None and self._earlier.finished:
            self._earlier.write(self.folder / RECORD)  # its results are still there
        elif isinstance(error, BrokenPipeError):
            self.record(status="interrupted", reason="nobody reads its output; can go on")
        elif isinstance(error, Exception):
            self.record(status="failed", reason=one_line(error))
        else:
            self.record(status="interrupted", reason=STOPPED)


def new_record(
    command: list[str],
    overrides: list[str],
    job: int | None,
    sweep_folder: str | None,
    config: Plain,
) -> RunRecord:
    """Return the record of a run that begins now, on this machine; see `RunRecord`."""
    return RunRecord(
        status="running",
        reason=None,
        name=config.get("name"),
        command=command,
        overrides=overrides,
        job=job,
        sweep_folder=sweep_folder,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        resumed=0,
        seconds=0.0,
        seed=config.get("seed"),
        git_commit=_git_commit(),
        python=platform.python_version(),
        machine=_machine(config),
        versions={name: importlib.metadata.version(name) for name in PACKAGES},
        given=config,
        config=config,
    )


def seconds_of(record: RunRecord, folder: Path) -> float:
    """Return the time of a run's attempts; of one that was killed, up to its last sign of life."""
    lived = 0.0
    if record.status == "running":
        with suppress(OSError):  # killed before it told of any progress
            lived = (folder / PROGRESS).stat().st_mtime - (folder / RECORD).stat().st_mtime
    return record.seconds + max(lived, 0.0)


def _in_sweep() -> bool:
    return is_job() or HydraConfig.get().mode == RunMode.MULTIRUN


def status_of(folder: Path, record: RunRecord) -> str:
    """Return how a run stands: killed where it says "running" and nobody holds its lock."""
    if record.status != "running" or is_busy(folder):
        return record.status
    # Or it has ended since the record was read.
    return "killed" if read_record(folder) == record else record.status


def note_end(
    folder: Path, before: RunRecord | None, status: Status, reason: str | None, unborn: RunRecord
) -> None:
    """Record how a run's process ended, where it did not do so itself.

    A finished run stays that, and nothing is noted where another process works in the folder.
    `before` is the run's record from before that process, `unborn` that of a run that has none.
    """
    lock = _lock(folder)
    if not claim(lock, wait=False):
        return
    try:
        record = read_record(folder) or unborn
        if record.status == "running" or (record == before and not record.finished):
            seconds = round(seconds_of(record, folder), 3)
            record.with_facts(status=status, reason=reason, seconds=seconds).write(folder / RECORD)
    except GanAugError as error:
        warn(str(error))
    finally:
        lock.release()


def wait_until_free(folder: Path) -> None:
    """Wait while some process works in a run's folder."""
    with suppress(OSError), _lock(folder):  # it may be gone, or another user's
        pass


def is_busy(folder: Path) -> bool:
    """Tell whether some process works in a run's folder; nothing is written there."""
    return is_held(folder / LOCK)


def _lock(folder: Path) -> Lock:
    return Lock(folder / LOCK, guards=folder)
