"""The ruler of a study: arms of more and more real images, which tell what others are worth."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gan_aug.run.errors import GanAugError
from gan_aug.settings.base import Plain
from gan_aug.settings.by_name import by_name, values_by_class

if TYPE_CHECKING:  # arms say what an arm may be set to, and one of them reads ARM
    from gan_aug.settings.study import StudySettings

ARM = "ruler_{}"


def ruler_of(settings: StudySettings, classes: list[str]) -> tuple[list[int], list[str]] | None:
    """Return a study's ruler: numbers of real images, and the classes that have so many.

    Raises:
        GanAugError: it names no class of the data set, or more than one.
    """
    ruler: Any = by_name(settings.study.ruler)
    if ruler is None:
        return None
    if not isinstance(ruler, Mapping):
        return list(ruler), classes
    of_class = values_by_class(ruler, classes, "study.ruler")
    if len(of_class) != 1:
        raise GanAugError(
            f"study.ruler={ruler}: names {' and '.join(of_class) or 'nothing'}; write a list "
            f"for all classes, or {{CLASS: LIST}} with one of {', '.join(classes)}"
        )
    ((name, sizes),) = of_class.items()
    return list(sizes), [name]


def ruler_arms(
    settings: StudySettings,
    arms: Mapping[str, Any],
    counts: Mapping[str, int],
    subset: Mapping[str, int | None],
) -> Plain:
    """Return an arm for each number of the ruler: `real` with so many images of each class.

    The images are nested: those of a number are among those of a larger one. Up to the draw's own
    number they are the draw's, then real ones that it leaves over join them.

    Args:
        settings: of the study.
        arms: its other arms as plain containers.
        counts: the draw's training images of each class.
        subset: what `data.subset` says of each class.

    Raises:
        GanAugError: there is no arm `real`, one has the name of a ruler's arm, or the draw's
            classes have no common number of images to count from, or it goes no further.
    """
    ruler = ruler_of(settings, list(counts))
    if ruler is None:
        return {}
    sizes, varied = ruler
    if "real" not in arms:
        raise GanAugError("study.ruler: needs the arm real; add '+arm@arms.real=real'")
    if len({counts[name] for name in varied}) > 1:
        have = ", ".join(f"{n} {name}" for name, n in counts.items())
        raise GanAugError(
            f"study.ruler={sizes}: counts from the draw's images of each class, and they differ "
            f"({have}); set data.subset=NUMBER, or study.ruler={{CLASS: {sizes}}}"
        )
    for name in varied:
        if subset[name] is None:
            raise GanAugError(
                f"study.ruler={sizes}: counts from the draw's images of {name}, and "
                "data.subset takes all there are, which differ from draw to draw; set "
                f"data.subset.{name}=NUMBER"
            )
    own = counts[varied[0]]
    if sizes[-1] <= own:
        raise GanAugError(
            f"study.ruler={sizes}: ends at the {own} images that a draw has; add larger numbers, "
            "which show whether the study could see what further images do"
        )
    arms_of_sizes: Plain = {}
    for size in sizes:
        name = ARM.format(size)
        if name in arms:
            raise GanAugError(f"arms.{name}: is the name of an arm of study.ruler; rename it")
        wanted = {k: size if k in varied else n for k, n in counts.items()}
        further = {k: max(0, n - counts[k]) for k, n in wanted.items()}
        arm = copy.deepcopy(arms["real"])
        arm["title"] = f"{size} real images of {varied[0] if len(varied) == 1 else 'each class'}"
        arm["real"] = {k: min(size, counts[k]) if k in varied else None for k in counts}
        arm["added"]["count"] = further
        arm["added"]["source"] = "real" if any(further.values()) else "none"
        arms_of_sizes[name] = arm
    return arms_of_sizes
