"""Numbers by the name of a class, as a setting gives them."""

from __future__ import annotations

from typing import Any

import yaml


def by_name(value: Any) -> Any:
    """Return a mapping that was given as text, "{NAME: NUMBER}"; anything else as it is.

    Hydra's grammar has no Korean letters, nor quotes around the keys of a mapping; a quoted text
    may hold any.
    """
    if not isinstance(value, str):
        return value
    try:
        found = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return found if isinstance(found, dict) else value
