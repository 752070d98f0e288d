"""The external sets of a draw: which arms have them, and what is said of them in run.json."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from gan_aug.arms.base import Draw, source_of
from gan_aug.arms.folder import FolderImages
from gan_aug.data.external_set import ExternalFacts, ExternalSet
from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.record import Run
from gan_aug.runtime.run_record import RECORD
from gan_aug.settings.base import Plain
from gan_aug.settings.study import SettledStudy

EXTERNAL = "external"
"""In `synthetic` of a draw's run.json: what is known of its external sets."""


def external_sets(draw: Draw) -> list[tuple[list[str], ExternalSet]]:
    """Return the external sets of a draw, each with the arms that take images of it."""
    found: dict[int, tuple[list[str], ExternalSet]] = {}
    for name, arm in draw.settings.arms.items():
        if isinstance(source := source_of(arm), FolderImages):
            there = source.of_draw(draw)  # one for all arms with the same folder
            found.setdefault(id(there), ([], there))[0].append(name)
    return list(found.values())


def external_classes(settings: SettledStudy) -> list[str]:
    """Return the classes that some arm adds images of an external set of."""
    arms = [arm for arm in settings.arms.values() if isinstance(source_of(arm), FolderImages)]
    return [name for name in settings.data.classes if any(arm.added.count[name] for arm in arms)]


def note_sets(run: Run, sets: list[tuple[list[str], ExternalSet]]) -> list[ExternalFacts]:
    """Write into run.json what is known of a draw's external sets, and say what is wrong with them.

    Raises:
        GanAugError: an earlier attempt of the draw had other images.
    """
    facts = [there.facts(arms) for arms, there in sets]
    before = files_of_arms(run.folder, run.facts.synthetic)
    for one, (_, there) in zip(facts, sets, strict=True):
        for arm in one.arms:
            now = one.files_sha256
            check_same_files(there.folder, run.folder, now, before.get(arm, now))
    if facts:
        run.record(synthetic={EXTERNAL: [one.model_dump(mode="json") for one in facts]})
    for one, (_, there) in zip(facts, sets, strict=True):
        arms = " and ".join(one.arms)
        if one.seen == "unknown":
            warn(
                f"{arms}: what the generator of {there.folder} saw is not known "
                "(added.seen=unknown), so leakage of validation and test images cannot be excluded"
            )
        for said in there.warnings(RECORD):
            warn(f"{arms}: {said}")
    return facts


def files_of_arms(folder: Path, synthetic: Plain | None) -> dict[str, str]:
    """Return the hash of the files of each arm's external set, as a draw's run.json has it."""
    try:
        sets = [ExternalFacts.model_validate(one) for one in (synthetic or {}).get(EXTERNAL, [])]
    except (TypeError, ValidationError) as error:
        raise GanAugError(
            f"{folder / RECORD}: what it says of added images is damaged; restore it, or remove "
            "the folder to run this draw again"
        ) from error
    return {arm: one.files_sha256 for one in sets for arm in one.arms}


def check_same_files(there: Path, folder: Path, now: str, before: str) -> None:
    """Check that an external set is the one that a draw, in `folder`, was begun with."""
    if now != before:
        raise GanAugError(
            f"{there}: holds other files than when {folder} was begun; put the former ones back, "
            f"or remove {folder} to run this draw again with these"
        )
