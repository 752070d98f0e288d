"""A tiny study in a folder of its own, to be disturbed while its jobs run and compared afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[2] / "tests"
sys.path.insert(0, str(TESTS))
from support import FP32, TINY_CNN, TINY_STUDY, environment, write_image

SHARED = (
    "study.repeats=1", "quality.use=[]", "study_dir=s", "study.gan_batches=60",
    "callbacks.checkpoint.every_n_seconds=0",
)  # fmt: skip
PHANTOMS = ("+study=seed_protocol", *TINY_STUDY, *SHARED)
# The same with images in a folder, which can go away.
IN_FOLDER = (
    "+study=seed_protocol", "data=chest_xray", "data.root=xrays", "data.image_size=32",
    "data.batch_size=8", "data.development_per_class=5", "data.val_per_class=10",
    "data.internal_per_class=10", "data.subset.normal=40", "data.subset.pneumonia=36", FP32,
    *(each for each in TINY_STUDY if not each.startswith(("data", "trainer"))), *SHARED,
)  # fmt: skip
CLASSIFIER = (*TINY_CNN, "trainer.max_epochs=1")
"""Of gan_aug.train."""
LIMIT = 600
"""Seconds that a command or a wait may take."""


class Command:
    """A command of a user; what it prints goes to a file beside the folder it works in."""

    def __init__(self, arguments: list[str], cwd: Path, env: dict[str, str], output: Path) -> None:
        self._output = output
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def printed(self) -> str:
        return self._output.read_text(errors="replace")

    def end(self, code: int = 0) -> Command:
        """Wait for the end, which must be with this exit code."""
        self.process.wait(LIMIT)
        found = self.process.returncode
        assert found == code, f"exit code {found} instead of {code}: {self.printed[-2000:]}"
        return self

    def line(self, start: str = "error: ") -> str:
        """Return the last line that starts so."""
        found = [line for line in self.printed.splitlines() if line.startswith(start)]
        return found[-1] if found else f"(no line with {start!r})"


class Trial:
    """One folder with one study.

    Args:
        home: of this trial; the commands work in work/, what they print goes beside it.
        cache: the cache folder, shared by trials that do not touch it.
        settings: of the study.
        draws: how many.
    """

    def __init__(
        self, home: Path, cache: Path, settings: tuple[str, ...] = PHANTOMS, draws: int = 2
    ) -> None:
        self.home, self.folder, self.settings, self.draws = home, home / "work", settings, draws
        self.folder.mkdir(parents=True)
        self.environment = environment(cache)
        self.commands: list[Command] = []
        self.cleanup = ExitStack()
        """What must be undone when the folder has been compared."""
        self.damaged: set[Path] = set()
        """Finished files that the fault itself changed."""
        self._finished: dict[Path, tuple[int, str]] = {}
        if settings is IN_FOLDER:
            write_xrays(self.folder / "xrays")

    def run(self, *arguments: str) -> Command:
        """Start `python -m gan_aug.ARGUMENTS`."""
        output = self.home / f"printed_{len(self.commands)}"
        command = Command(
            [f"gan_aug.{arguments[0]}", *arguments[1:]], self.folder, self.environment, output
        )
        self.commands.append(command)
        return command

    def start(self, *more: str, draws: int | None = None) -> Command:
        """Start the study, two jobs at a time."""
        wanted = f"draw=range(0,{draws or self.draws})"
        return self.run("study", "-m", *self.settings, "hydra.launcher.jobs=2", *more, wanted)

    def until(self, condition: Callable[[], Any], command: Command | None = None) -> Any:
        """Wait for a condition, while the command runs."""
        end = time.monotonic() + LIMIT
        while not (found := condition()):
            ended = command is not None and command.process.poll() is not None
            assert not ended, f"ended too early: {command.printed[-2000:] if command else ''}"
            assert time.monotonic() < end, "it never came to that"
            time.sleep(0.02)
        return found

    def disturb(self, act: Callable[[], object]) -> None:
        """Remember what is finished, then do something to it."""
        self._finished |= self._look()
        act()

    def draw(self, number: int) -> Path:
        return self.folder / "s" / f"draw_{number}"

    def fits(self, draw: int) -> int:
        """Return how many fits of a draw are finished."""
        return len(list(self.draw(draw).glob("fits/*.json")))

    def gan(self, draw: int) -> Path | None:
        """Return the run folder of a draw's GAN, if it has been started."""
        for path in self.folder.glob("runs/gans/*/run.json"):
            if read(path)["config"]["draw"] == draw:
                return path.parent
        return None

    def gan_trains(self, draw: int) -> bool:
        """Tell whether a draw's GAN is past two checkpoints and not finished."""
        folder = self.gan(draw)
        if folder is None or (folder / "metrics.json").exists():
            return False
        return (folder / "checkpoints" / "previous.ckpt").exists()

    def attempt(self, draw: int) -> dict[str, Any]:
        """Return K.json of a draw, empty where there is none yet."""
        for folder in sorted(self.folder.glob("s/.jobs/*"), reverse=True):
            path = folder / f"{draw}.json"
            if path.exists():
                return read(path)
        return {}

    def kill(self, draw: int) -> None:
        """Kill -9 the job of a draw."""
        os.kill(self.attempt(draw)["pid"], 9)

    def logged(self, part: str) -> str:
        """Return the line with some text that a job printed."""
        for path in self.folder.glob("s/.jobs/*/*.log"):
            for line in path.read_text(errors="replace").splitlines():
                if part in line:
                    return line
        return f"(no line with {part!r})"

    def lost(self) -> tuple[int, int]:
        """Return how many finished files are not as they were, and of how many."""
        kept = {path: was for path, was in self._finished.items() if path not in self.damaged}
        now = self._look()
        return sum(now.get(path) != was for path, was in kept.items()), len(kept)

    def results(self) -> tuple[list[bytes], dict[str, str]]:
        """Return the lines of results.csv, and the hash of each fit's predictions."""
        lines = (self.folder / "s" / "results.csv").read_bytes().splitlines(keepends=True)
        arrays = {str(p.relative_to(self.folder)): sha256(p) for p in self._all("s/*/fits/*.npz")}
        return lines, arrays

    def tracebacks(self) -> list[str]:
        """Return what printed a traceback."""
        logs = [*self.folder.glob("s/.jobs/*/*.log"), *self.folder.glob("s/.jobs/*/slurm/*_log.*")]
        paths = [*self.home.glob("printed_*"), *logs]
        return [p.name for p in paths if "Traceback (most" in p.read_text(errors="replace")]

    def _all(self, pattern: str) -> Iterator[Path]:
        return self.folder.glob(pattern)

    def _look(self) -> dict[Path, tuple[int, str]]:
        """Return time and hash of the files of all fits, draws and GANs that are finished."""
        found = [p for j in self._all("s/*/fits/*.json") for p in (j, j.with_suffix(".npz"))]
        found += [p for p in self._all("s/*/metrics.json") if is_finished(p.parent)]
        for path in self._all("runs/gans/*/metrics.json"):
            if is_finished(path.parent):
                found += [path, path.with_name("checkpoints") / "last.ckpt"]
        return {path: (path.stat().st_mtime_ns, sha256(path)) for path in found if path.exists()}


def write_xrays(root: Path) -> None:
    """Write made-up X-rays in Kaggle's layout, the same ones each time, as old as each other."""
    seed = 0
    for split, n in (("train", 100), ("test", 20)):
        for i in range(n):
            patient = 500 * (split == "test") + i
            for name in (f"NORMAL/IM-{patient:04d}-0001.png",
                         f"PNEUMONIA/person{patient}_virus_{i}.png"):  # fmt: skip
                path = root / split / name
                write_image(path, seed)
                os.utime(path, (10**9, 10**9))  # part of the cache's key
                seed += 1


def is_finished(folder: Path) -> bool:
    return bool(read(folder / "run.json")["status"] == "finished")


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def change_a_byte(path: Path) -> None:
    """Change the byte in the middle of a file, where it lies: who has mapped it sees that."""
    with path.open("r+b") as file:
        middle = file.seek(path.stat().st_size // 2)
        (byte,) = file.read(1)
        file.seek(middle)
        file.write(bytes([byte ^ 1]))
