"""Build what the user's own configuration describes, with one line where it describes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gan_aug.run.errors import GanAugError
from gan_aug.run.record import one_line

T = TypeVar("T")


def build(key: str, make: Callable[[], T]) -> T:
    """Return what `make` builds from the setting `key`.

    Raises:
        GanAugError: it cannot be built; the line names the key.
    """
    try:
        return make()
    except GanAugError:
        raise
    except Exception as error:  # Hydra's, Lightning's and torch's own
        reason = one_line(error.__cause__ or error)
        raise GanAugError(
            f"{key}: cannot be built ({reason}); mend that setting, conf/ has a sound one"
        ) from error
