"""The jobs of multiruns as a table, live on a terminal, or as a line each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gan_aug.jobs.follow import ENDED_BADLY, Followed, Follower, State, Sweep
from gan_aug.jobs.submission import Job
from gan_aug.runtime.errors import warn
from gan_aug.runtime.terminal import console, printable, wide_console

COLOURS = {
    State.RUNNING: "cyan",
    State.DONE: "green",
    State.FAILED: "red",
    State.STOPPED: "yellow",
    State.KILLED: "red",
}
ROWS = 40
"""The most jobs of a multirun that are shown."""
OTHER_LINES = 10
"""Lines around the rows of a table: title, heads, sums, a reason or two."""
ALL_DONE, SOME_ENDED_BADLY, SOME_OPEN = 0, 1, 3
"""Exit codes."""


def exit_code(sweeps: Sequence[Sweep]) -> int:
    """Return 0 where all is done, 3 while some job waits or runs, else 1."""
    states = {job.state for sweep in sweeps for job in sweep.jobs}
    if states & {State.WAITING, State.RUNNING}:
        return SOME_OPEN
    done = states <= {State.DONE} and not any(sweep.damaged for sweep in sweeps)
    return ALL_DONE if done else SOME_ENDED_BADLY


def show(follower: Follower, refresh_seconds: float | None) -> list[Sweep]:
    """Print how all stands, and return how it stood last.

    On a terminal it is printed every `refresh_seconds` until nothing waits or runs, or Ctrl-C.
    """
    sweeps = follower.look()
    terminal = console()
    if refresh_seconds is None or not terminal.is_terminal or exit_code(sweeps) != SOME_OPEN:
        wide_console().print(page(sweeps))
        return sweeps
    try:
        with Live(console=terminal, auto_refresh=False) as live:
            while True:
                live.update(live_page(sweeps, terminal.height), refresh=True)
                if exit_code(sweeps) != SOME_OPEN:
                    break
                time.sleep(refresh_seconds)
                sweeps = follower.look()
    except KeyboardInterrupt:
        pass  # the way to end it; the exit code tells how it stood
    return sweeps


@contextmanager
def watching(sweep: Path, jobs: Iterable[Job]) -> Iterator[Callable[[], None]]:
    """Give a function that shows how jobs stand while they run; it is to be called every so often.

    On a terminal it is a table of all, elsewhere a line each time that one of `jobs` goes on. No
    line tells of one that was done before, and is now refused for other settings.
    """
    follower, terminal, warned = Follower(sweep), console(), False
    shown: dict[str, str] = {job.folder: State.WAITING for job in jobs}
    done_before: list[Followed] | None = None

    def tell() -> None:
        nonlocal done_before
        sweeps = follower.look()
        if done_before is None:
            done_before = [j for one in sweeps for j in one.jobs if j.state is State.DONE]
        if live is not None:
            live.update(live_page(sweeps, terminal.height), refresh=True)
            return
        for multirun in sweeps:
            for job in multirun.jobs:
                if shown.get(job.folder, job.state) != job.state:
                    shown[job.folder] = job.state
                    if job not in done_before:
                        print(f"{what_happened(job)} ({line(multirun)})", flush=True)

    def safely() -> None:  # it never ends the jobs: what it reads may be anybody's
        nonlocal warned
        try:
            tell()
        except Exception as error:
            if not warned:
                warn(f"the jobs go on, but cannot be shown ({type(error).__name__}: {error})")
            warned = True

    on_terminal = Live(console=terminal, auto_refresh=False) if terminal.is_terminal else None
    with on_terminal or nullcontext() as live:
        safely()
        yield safely
        safely()


def page(sweeps: Sequence[Sweep], rows: int = ROWS) -> RenderableType:
    """Return a table of each multirun in which not all is done, and a line of each other."""
    if len(sweeps) == 1:
        return table(sweeps[0], rows)
    return Group(*(Text(line(s)) if _is_done(s) else table(s, rows) for s in sweeps))


def live_page(sweeps: Sequence[Sweep], height: int) -> RenderableType:
    """Return the same for a terminal of so many lines."""
    tables = max(sum(not _is_done(sweep) for sweep in sweeps), 1)
    return page(sweeps, max((height - len(sweeps) + tables) // tables - OTHER_LINES, 3))


def what_happened(job: Followed) -> str:
    """Return a job's state as a line of plain text."""
    text = f"{job.folder}: {job.state}"
    if job.state is State.DONE:
        text += f" after {span(job.seconds)}"
    if job.state in ENDED_BADLY:
        text += f", {job.reason or 'no reason is noted'}"
        text += f"; its output: {job.log}" if job.log else ""
    return printable(text)


def table(sweep: Sweep, rows: int = ROWS) -> RenderableType:
    """Return the table of one multirun; its sums and what went wrong stand below it."""
    shown = _most_telling(sweep.jobs, rows)
    common = set.intersection(*(set(job.overrides) for job in sweep.jobs)) if sweep.jobs else set()
    made = Table(title=Text(printable(str(sweep.folder))), title_justify="left")
    for title in ("job", "state", "time", "stage", "done", "images/s", "left", "where"):
        right = title in ("time", "done", "images/s", "left")
        made.add_column(title, justify="right" if right else "left", overflow="fold")
    for job in shown:
        made.add_row(*_cells(job, common))
    hidden = len(sweep.jobs) - len(shown)
    lines = [_sums(sweep) + (f"; {hidden} of them are not shown" if hidden else "")]
    lines += [what_happened(job) for job in shown if job.state in ENDED_BADLY]
    lines.extend(sweep.damaged[:rows])
    if len(sweep.damaged) > rows:
        lines.append(f"and {len(sweep.damaged) - rows} further damaged files")
    return Group(made, *(Text(printable(text)) for text in lines))


def _most_telling(jobs: Sequence[Followed], rows: int) -> Sequence[Followed]:
    """Return all jobs, or of too many those that run and those that ended badly, half of each."""
    if len(jobs) <= rows:
        return jobs
    bad = [job for job in jobs if job.state in ENDED_BADLY]
    running = [job for job in jobs if job.state is State.RUNNING]
    running = running[: max(rows - len(bad), rows // 2)]
    return [*running, *bad[: rows - len(running)]]


def line(sweep: Sweep) -> str:
    """Return one line of plain text on a multirun, for a log."""
    return f"{printable(str(sweep.folder))}: {_sums(sweep)}"


def _is_done(sweep: Sweep) -> bool:
    return exit_code([sweep]) == ALL_DONE


def _sums(sweep: Sweep) -> str:
    counts = sweep.counts()
    states = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    text = f"{len(sweep.jobs)} {'job' if len(sweep.jobs) == 1 else 'jobs'}: {states}"
    left, usual = sweep.seconds_left(), sweep.usual_seconds()
    if left is not None and usual is not None:
        until = f"about {span(left)} left" if left >= 1 else "longer than usual"
        text += f"; {until} (a job takes {span(usual)}, the median)"
    return text


def _cells(job: Followed, common: set[str]) -> list[Text]:
    name = job.folder
    if name.isdecimal():  # of a multirun that numbers its jobs; their settings tell more
        name = " ".join([name, *(o for o in job.overrides if o not in common)])
    state = Text(job.state, style=COLOURS.get(job.state, ""))
    stage = done = speed = left = ""
    if (progress := job.progress) is not None:
        stage = f"{progress.stage_number}/{progress.stages} {progress.stage}"
        if progress.total > 0:
            share = 100 * progress.done // progress.total
            done = f"{progress.done}/{progress.total} {progress.unit}, {share} %"
        if progress.images_per_second is not None:
            speed = f"{progress.images_per_second:.0f}"
        if progress.seconds_left is not None:
            left = span(progress.seconds_left)
    took = span(job.seconds) if job.seconds else ""
    texts = (took, stage, done, speed, left, progress.host if progress else "")
    # As text: rich would take [kid] for a style and leave it out.
    return [Text(printable(name)), state, *(Text(printable(text)) for text in texts)]


def span(seconds: float) -> str:
    """Return a time as people say it."""
    if not math.isfinite(seconds):
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
