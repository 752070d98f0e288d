"""What the command line of this job sets, beside what conf/ and files say."""

from __future__ import annotations

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser


def typed_settings() -> frozenset[str]:
    """Return the keys and groups that the command line names: data, data.root, checkpoint ..."""
    overrides = list(HydraConfig.get().overrides.task)
    parsed = OverridesParser.create().parse_overrides(overrides)
    return frozenset(override.key_or_group for override in parsed)
