"""What is shown while jobs run: all of them in one table on a terminal, elsewhere a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.live import Live

from gan_aug.jobs.follow import Follower, Sweep
from gan_aug.jobs.follow import Job as Followed
from gan_aug.jobs.show import line, live_page, what_happened
from gan_aug.jobs.submission import Job
from gan_aug.run.errors import warn
from gan_aug.run.terminal import console


@contextmanager
def watching(sweep: Path, jobs: Iterable[Job]) -> Iterator[Callable[[], None]]:
    """Give a function that shows how the jobs stand; it is to be called every so often."""
    follower, terminal = Follower(sweep), console()
    if terminal.is_terminal:
        with Live(console=terminal, auto_refresh=False) as live:

            def draw() -> None:
                live.update(live_page(follower.look(), terminal.height), refresh=True)

            draw_safely = _harmless(draw)
            yield draw_safely
            draw_safely()
        return
    own, told = {job.folder for job in jobs}, dict[str, str]()

    def tell() -> None:
        for found in follower.look():
            for job in found.jobs:
                if job.folder in own and told.get(job.folder, "waiting") != job.state:
                    told[job.folder] = job.state
                    _print(found, job)

    tell_safely = _harmless(tell)
    yield tell_safely
    tell_safely()


def _harmless(show: Callable[[], None]) -> Callable[[], None]:
    """Return what shows the jobs, but never ends them: what it reads may be anybody's."""
    told = False

    def safely() -> None:
        nonlocal told
        try:
            show()
        except Exception as error:
            if not told:
                warn(f"the jobs go on, but cannot be shown ({type(error).__name__}: {error})")
            told = True

    return safely


def _print(sweep: Sweep, job: Followed) -> None:
    print(f"{what_happened(job)} ({line(sweep)})", flush=True)
