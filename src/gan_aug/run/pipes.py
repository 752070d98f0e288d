"""The end of who reads what a command prints: `gan_aug.status | head`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

NOBODY_READS = 141
"""Exit code of a command that ends since nobody reads its output: 128 + SIGPIPE, as of `yes`."""


@contextmanager
def ends_with_its_reader() -> Iterator[None]:
    """End the process without a word where what it prints has no reader any more."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer would fail once more at Python's own end, with a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(NOBODY_READS)
