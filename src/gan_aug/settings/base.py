"""What all settings have in common; see `gan_aug.settings.whole.validate` for how they are read."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Plain = dict[str, Any]
"""Plain containers by key, as JSON and configurations hold them."""


class Settings(BaseModel):
    """A group of settings.

    A key that no field names is allowed where another setting reads it (`${study.per_class}`): a
    study, model or data set of one's own has keys of its own.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)


def own(description: str) -> Any:
    """Return a field that only some models or data sets have; it is None where there is none."""
    return Field(default=None, description=description, json_schema_extra={"own": True})
