"""Names of run folders: what differs between runs, as TensorBoard lists them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

EXCLUDED = "hydra.job.config.override_dirname.exclude_keys"
"""Where Hydra keeps the settings that say nothing in a job's name."""
LONGEST = 120
"""Bytes of a name; file systems take 255, and the time may stand in front."""


def folder_name(overrides: Sequence[str], leave_out: Sequence[str], start: str = "") -> str:
    """Return a folder's name that says what was set: lr_g_0.0001+d_steps_2; "0" for nothing.

    It needs no quotes as part of a value on Hydra's command line, if no letter in it does, and is
    the same for the same settings. Values that are no names get a hash, so that no two are alike.
    No override may have several values. callbacks.* in `leave_out` are all those of callbacks.
    """
    shown = [
        o for o in _parsed(overrides) if not any(fnmatchcase(_key(o), one) for one in leave_out)
    ]
    shown.sort(key=lambda o: _key(o).startswith("data"))  # what is cut off is of the data
    keys = [_key(o) for o in shown]
    uses = Counter(key.rpartition(".")[2] for key in keys)
    parts = [short if uses[short := key.rpartition(".")[2]] == 1 else key for key in keys]
    said = "+".join(f"{_letters(part)}_{_value(o)}" for part, o in zip(parts, shown, strict=True))
    if len(said.encode()) > LONGEST:
        said = f"{said.encode()[:LONGEST].decode(errors='ignore')}-{_hash(said)}"
    return "+".join(filter(None, (start, said))) or "0"


OmegaConf.register_new_resolver("folder_name", folder_name, replace=True)


class NameJobs(Callback):
    """A Hydra callback that has the jobs of a multirun named by what is swept alone."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Leave out of the jobs' names what all jobs share."""
        hydra = config.hydra
        params = OmegaConf.to_container(hydra.sweeper.get("params") or OmegaConf.create())
        assert isinstance(params, dict)
        given = _parsed([*hydra.overrides.task, *(f"{k!s}={v}" for k, v in params.items())])
        swept = {_key(override) for override in given if override.is_sweep_override()}
        shared = {_key(override) for override in given} - swept
        hydra.overrides.hydra.append(f"{EXCLUDED}=[{','.join(map(repr, sorted(shared)))}]")


def _parsed(overrides: Sequence[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(overrides))


def _key(override: Override) -> str:
    return override.get_key_element().lstrip("+~")


def _value(override: Override) -> str:
    if override.is_delete():
        return "removed"
    value = override.value()
    text = value if isinstance(value, str) else override.get_value_element_as_str()
    letters = _letters(text)
    return letters if letters == text else f"{letters.strip('-')}-{_hash(text)}"


def _letters(text: str) -> str:
    """Replace what may not stand in names of files, or needs quotes."""
    return re.sub(r"[^\w.-]+", "-", text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
