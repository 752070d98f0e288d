"""Random streams of a study, each a function of what it is for."""

from __future__ import annotations

import hashlib

import numpy as np


def stream_seed(*parts: object) -> int:
    """Return a seed in [0, 2^32) that depends on all parts and on nothing else."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int(np.frombuffer(digest[:4], np.uint32)[0])
