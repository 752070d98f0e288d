"""Progress of what takes minutes: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

FIRST_SECONDS, EVERY_SECONDS = 10.0, 30.0

T = TypeVar("T")


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Pass items on and show on stderr how many there have been.

    Args:
        items: what is iterated over.
        description: what is being done.
        total: how many items there are.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        yield from rich_track(items, description=description, total=total, console=console)
        return
    due = time.monotonic() + FIRST_SECONDS
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() >= due:
            print(f"{description}: {done} of {total}", file=sys.stderr, flush=True)
            due = time.monotonic() + EVERY_SECONDS
