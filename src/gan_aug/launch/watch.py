"""What is shown while jobs run: all of them in one table on a terminal, elsewhere a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from gan_aug.launch.follow import Follower, Job, Sweep
from gan_aug.launch.show import line, live_page, what_happened
from gan_aug.launch.submission import Submission


@contextmanager
def watching(submission: Submission) -> Iterator[Callable[[], None]]:
    """Give a function that shows how the jobs stand; it is to be called every so often."""
    follower, console = Follower(submission.sweep), Console()
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:

            def draw() -> None:
                live.update(live_page(follower.look(), console.height), refresh=True)

            yield draw
            draw()
        return
    own, told = {job.folder for job in submission.jobs}, dict[str, str]()

    def tell() -> None:
        for sweep in follower.look():
            for job in sweep.jobs:
                if job.folder in own and told.get(job.folder, "waiting") != job.state:
                    told[job.folder] = job.state
                    _print(sweep, job)

    yield tell
    tell()


def _print(sweep: Sweep, job: Job) -> None:
    print(f"{what_happened(job)} ({line(sweep)})", flush=True)
