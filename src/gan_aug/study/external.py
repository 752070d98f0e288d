"""The external sets of a draw: what is said of them, and how good their images are."""

from __future__ import annotations

from gan_aug.arms.base import Draw, source_of
from gan_aug.arms.folder import FolderImages
from gan_aug.data.external_set import ExternalFacts, ExternalSet
from gan_aug.data.held_out import FEWEST, HeldOut
from gan_aug.data.splits import Splits
from gan_aug.evaluation.evaluator import Evaluator
from gan_aug.evaluation.measured import GENERATED, Quality
from gan_aug.runtime.errors import warn
from gan_aug.runtime.progress import stage
from gan_aug.runtime.record import Run
from gan_aug.runtime.run_record import RECORD
from gan_aug.settings.study import SettledStudy
from gan_aug.study.other_draws import EXTERNAL, check_same_files, files_of_arms


def external_sets(settings: SettledStudy, draw: Draw) -> list[tuple[list[str], ExternalSet]]:
    """Return the external sets of a draw, each with the arms that take images of it."""
    found: dict[int, tuple[list[str], ExternalSet]] = {}
    for name, arm in settings.arms.items():
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


def measured_sets(
    settings: SettledStudy, sets: list[tuple[list[str], ExternalSet]]
) -> dict[str, ExternalSet]:
    """Return the set whose quality is measured, by the class that there are enough images of.

    It is that of the asked arm, else the first.
    """
    asked = [there for arms, there in sets if settings.study.question.arm in arms]
    first = next(iter([*asked, *(there for _, there in sets)]), None)
    if first is None:
        return {}
    enough = {name: len(images) >= FEWEST for name, images in first.by_class.items()}
    return {name: first for name in external_classes(settings) if enough[name]}


def measure_external(
    settings: SettledStudy, splits: Splits, held_out: HeldOut, sets: dict[str, ExternalSet]
) -> Quality:
    """Measure the first images of external sets beside unseen real images, as GANs' are."""
    stage("quality of the external set", unit="classes")
    evaluator = Evaluator(settings.quality, splits)
    classes = {
        name: evaluator.against_baseline(
            {GENERATED: there.by_class[name][: settings.quality.count]}, name, held_out, None
        )
        for name, there in sets.items()
    }
    return evaluator.quality(classes)
