"""What a terminal shows while jobs run: all of them in one table, or a line when one ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gan_aug.launch.submission import Submission
from gan_aug.run.files import read_json


@contextmanager
def watching(submission: Submission) -> Iterator[Callable[[], None]]:
    """Give a function that shows how the jobs stand; it is called every so often."""
    told: dict[int, str] = {}

    def show() -> None:
        for k, job in enumerate(submission.jobs):
            path = submission.state_path(k)
            if not path.exists():
                continue
            found = read_json(path, "")
            if told.get(k) != found["state"]:
                told[k] = found["state"]
                print(f"{job.folder}: {found['state']}", flush=True)

    yield show
    show()
