"""Fixture: a real Slurm, where one can be had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slurm.cluster import SlurmCluster, unavailable


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[SlurmCluster]:
    """A running cluster of nodes n1 and n2; tests that need it are skipped where there is none.

    A test leaves both nodes up.
    """
    if why := unavailable():
        pytest.skip(why)
    with SlurmCluster() as cluster:
        yield cluster
