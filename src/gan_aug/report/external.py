"""What a report says of added images that gan_aug did not make: external sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from gan_aug.data.external_set import DECLARED, ExternalFacts, NearDuplicate
from gan_aug.report.study import Study
from gan_aug.settings.values import Seen

_EXAMPLES = 5
"""Near duplicates that a report names; run.json of each draw has all."""
_MOST_FOLDERS = 3


@dataclass(frozen=True)
class Near:
    """A near duplicate, and the draw that it was found in."""

    draw: int
    pair: NearDuplicate


@dataclass(frozen=True)
class ExternalRow:
    """The sets that some arms take images of, over all draws and conditions."""

    arms: list[str]
    seen: Seen  # what is declared of the generator
    folders: list[str]  # their own names
    images: list[dict[str, int]]  # of each class, every number that occurs
    draws: int  # that have such a set
    sets: int  # how many of these sets are different ones, by their pixels
    shared: int  # the most draws that one of them serves
    near: dict[str, int]  # split to near duplicates of its images, over all draws
    near_draws: int  # draws with any
    examples: list[Near]  # the first of them
    copies: dict[str, int]  # class to near duplicates of training images, over all draws
    copies_draws: int  # draws with any


def summarise_external(study: Study) -> list[ExternalRow]:
    """Return a row for the arms that share a set in each draw, and for what is declared of it."""
    of_arms: dict[tuple[tuple[str, ...], Seen], dict[tuple[int, str], ExternalFacts]] = {}
    for job in study.jobs:
        for one in job.result.external:
            facts = of_arms.setdefault((tuple(one.arms), one.seen), {})
            facts[job.result.draw, one.sha256] = one
    rows = []
    for (arms, seen), facts in of_arms.items():
        serves = Counter(digest for _, digest in facts)
        near = [Near(draw, pair) for (draw, _), one in facts.items() for pair in one.near]
        copies = [Counter(one.copies) for one in facts.values()]
        rows.append(
            ExternalRow(
                arms=list(arms),
                seen=seen,
                folders=list(dict.fromkeys(one.dir for one in facts.values())),
                images=list({str(one.images): one.images for one in facts.values()}.values()),
                draws=len({draw for draw, _ in facts}),
                sets=len(serves),
                shared=max(serves.values()),
                near=dict(Counter(one.pair.split for one in near)),
                near_draws=len({one.draw for one in near}),
                examples=near[:_EXAMPLES],
                copies=dict(+sum(copies, Counter())),
                copies_draws=len(
                    {draw for (draw, _), one in facts.items() if any(one.copies.values())}
                ),
            )
        )
    return rows


def careful_of(row: ExternalRow) -> Iterator[str]:
    """Yield what all else must be read with."""
    arms = " and ".join(row.arms)
    if row.seen == "unknown":
        yield (
            f"what the generator of the images of {arms} saw is not known (seen: unknown), so "
            "leakage of validation and test images cannot be excluded."
        )
    if row.seen == "nothing" and row.copies:
        yield (
            f"the generator of the images of {arms} is declared to have seen nothing of this data "
            f"set (seen: nothing), yet {_copies(row)}."
        )
    if row.near:
        of = " and ".join(f"{n} {split} images" for split, n in row.near.items())
        draws = f"{row.near_draws} of {row.draws} draws"
        first = row.examples[0]
        yield (
            f"among the images of {arms} are near duplicates of held-out images ({of}, in "
            f"{draws}); in draw {first.draw} {first.pair.added} is nearly {first.pair.real}."
        )


def _copies(row: ExternalRow) -> str:
    of = ", ".join(f"{n} {name}" for name, n in row.copies.items())
    draws = f"{row.copies_draws} of {row.draws} draws"
    return f"{of} images are near duplicates of training images (in {draws})"


def limits_of(row: ExternalRow) -> Iterator[str]:
    """Yield what the images do not let anyone say."""
    arms = " and ".join(row.arms)
    if row.seen == "nothing":
        yield (
            f"That the generator of the images of {arms} saw nothing of this data set is declared, "
            "not checked."
        )
    if row.copies:
        yield f"Among the images of {arms}, {_copies(row)}."
    if row.shared > 1:
        all_ = "All draws" if row.shared == row.draws else f"{row.shared} of {row.draws} draws"
        yield (
            f"{all_} take the images of {arms} from one set: the interval does not cover another "
            "training of its generator."
        )


def origin_of(row: ExternalRow) -> str:
    """Return where the images came from."""
    shown, more = row.folders[:_MOST_FOLDERS], len(row.folders) - _MOST_FOLDERS
    where = ", ".join(shown) + (f" and {more} more" if more > 0 else "")
    counts = " or ".join(" + ".join(map(str, one.values())) for one in row.images[:2])
    return (
        f"Images of {' and '.join(row.arms)}: of a generator that gan_aug did not fit, from "
        f"{where} ({counts} there); {DECLARED[row.seen].replace('this draw', 'its draw')}."
    )
