"""What settings are made of: groups of them, and nodes that name a class or function to build.

See `gan_aug.settings.whole.validate` for how they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gan_aug.runtime.errors import GanAugError, innermost, said

Plain = dict[str, Any]
"""Plain containers by key, as JSON and configurations hold them."""
_CONFIG = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)


class Settings(BaseModel):
    """A group of settings.

    A key that no field names is allowed where another setting reads it (`${study.per_class}`): a
    study, model or data set of one's own has keys of its own.
    """

    model_config = _CONFIG


def own(description: str) -> Any:
    """Return a field that only some models or data sets have; it is None where there is none."""
    return Field(default=None, description=description, json_schema_extra={"own": True})


class Node(BaseModel):
    """What Hydra builds: `_target_`, and any keys beside it."""

    model_config = _CONFIG

    class_path: str = Field(alias="_target_", description="dotted name of a class or function")

    def plain(self) -> Plain:
        """Return plain containers, with the keys that were set and no others."""
        return self.model_dump(by_alias=True, exclude_unset=True)

    def build(self, key: str = "", /, *given: Any, **extra: Any) -> Any:
        """Return what it describes; inner nodes are built first.

        Args:
            key: the setting, for the error.
            given: positional arguments.
            extra: further arguments, which take the place of those of the node.

        Raises:
            GanAugError: it cannot be built; the line names the setting.
        """
        return build_plain(self.plain(), key or self.class_path, *given, **extra)


def build_plain(plain: Mapping[str, Any], key: str, /, *given: Any, **extra: Any) -> Any:
    """Return what plain containers with `_target_` describe; see `Node.build`."""
    from hydra.utils import instantiate

    with building(key):
        return instantiate(dict(plain), *given, _convert_="all", **extra)


@contextmanager
def building(key: str) -> Iterator[None]:
    """Name a setting where what it describes cannot be built.

    Raises:
        GanAugError: in place of an error of Hydra, Lightning or torch, whose cause may be one.
    """
    try:
        yield
    except Exception as error:
        if (ours := innermost(error)) is not None:
            raise ours from error
        reason = said(error.__cause__ or error) or type(error).__name__
        raise GanAugError(
            f"{key}: cannot be built ({reason}); mend that setting, conf/ has a sound one"
        ) from error
