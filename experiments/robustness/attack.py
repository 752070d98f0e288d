"""Sixty bad inputs through the command line: python experiments/robustness/attack.py [NUMBER ...].

`own_folders.py` tries sixty folders and settings of its own in the same way. Each case makes its own copy of sound files, spoils one thing and runs a command as a user would. It
passes if the command ends with one line that names what is wrong, where, and what to do (exit code
not 0, no traceback, nothing run that the file asked for), or with a right result. Prints a Markdown
table and exits with 1 if a case fails.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import sound

FLAG = "code_was_run"
"""The file that planted code would make."""
LIMIT = 120
"""Seconds."""
_USUAL = re.compile(
    r"The patient of \d+ images is not known|of one patient is not known|has only \d+ images in"
)
"""Warnings that small made-up images always have: they are no answer to what was spoilt."""
_PROGRESS = re.compile(r".*first use|reading draw \d")
"""Lines that say what a command is at."""
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        title: what is spoilt.
        command: name and arguments after `python -m gan_aug.`.
        spoil: changes the copy of the sound files in a folder.
        parts: what the one line must hold; empty: the command must succeed.
        check: what a success must have left, given the folder and what was printed.
    """

    title: str
    command: tuple[str, ...]
    spoil: Callable[[Path], object] = field(default=lambda folder: None)
    parts: tuple[str, ...] = ()
    check: Callable[[Path, str], bool] = field(default=lambda folder, printed: True)


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    seconds: float
    line: str
    fault: str


def run(case: Case, base: Path) -> Answer:
    """Run a case in a copy of the sound files."""
    with tempfile.TemporaryDirectory(dir=base.parent) as name:
        folder = Path(name)
        shutil.copytree(base, folder, dirs_exist_ok=True, symlinks=True)
        with _one_at_a_time:  # some change the current folder
            case.spoil(folder)
        started = time.monotonic()
        try:
            ended = subprocess.run(
                [sys.executable, "-m", f"gan_aug.{case.command[0]}", *case.command[1:]],
                cwd=folder,
                env=sound.environment(folder),
                capture_output=True,
                text=True,
                timeout=LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Answer(-1, LIMIT, "", f"no end within {LIMIT} s")
        seconds = time.monotonic() - started
        lines = [x for x in ended.stderr.splitlines() if not _PROGRESS.match(x)]
        errors = [x for x in lines if x.startswith("error: ")]
        warnings = [x for x in lines if x.startswith("warning: ") and not _USUAL.search(x)]
        fault = _fault(case, folder, ended.returncode, lines, errors, ended.stdout + ended.stderr)
        said = (errors or warnings or ["(a right result)"])[0].replace(str(folder) + "/", "")
        return Answer(ended.returncode, seconds, said.replace(str(folder), "."), fault)


def _fault(
    case: Case, folder: Path, code: int, lines: list[str], errors: list[str], printed: str
) -> str:
    """Return what was wrong with the answer; empty: nothing."""
    if (folder / FLAG).exists():
        return "the file's code was run"
    if "Traceback" in printed:
        return "a traceback"
    if unknown := [x for x in lines if not x.startswith(("error: ", "warning: "))]:
        return f"another line: {unknown[0]}"
    if case.parts:
        if code == 0 or len(errors) != 1:
            return f"exit code {code}, {len(errors)} error lines"
        missing = [part for part in case.parts if part not in errors[0]]
        return f"the line lacks {missing[0]}" if missing else ""
    if code != 0:
        return f"exit code {code}"
    return "" if case.check(folder, printed) else "a wrong result"


def main(cases: Sequence[Case], make: Callable[[Path], None]) -> None:
    """Run all cases, or those that are numbered, two at a time, and print a table.

    Args:
        cases: in the order of their numbers.
        make: makes the sound files in a folder.
    """
    chosen = sorted({int(number) for number in sys.argv[1:]})
    with tempfile.TemporaryDirectory() as name:
        base = Path(name) / "sound"
        make(base)
        found = [c for i, c in enumerate(cases, start=1) if not chosen or i in chosen]
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            answers = list(pool.map(lambda case: run(case, base), found))
    print("| | input | command | exit | s | answer |\n| --- | --- | --- | --- | --- | --- |")
    numbers = chosen or range(1, len(found) + 1)
    for number, case, answer in zip(numbers, found, answers, strict=True):
        cells = (case.title, f"`{case.command[0]}`", answer.code, f"{answer.seconds:.0f}")
        text = answer.line.replace("|", "\\|").replace("`", "'")
        fault = f" **{answer.fault}**" if answer.fault else ""
        print(f"| {number} | {' | '.join(map(str, cells))} | `{text[:300]}`{fault} |")
    good = sum(not answer.fault for answer in answers)
    print(f"\n{good} of {len(answers)}")
    sys.exit(good != len(answers))


if __name__ == "__main__":
    import cases

    main(cases.every(Case, FLAG), sound.make)
