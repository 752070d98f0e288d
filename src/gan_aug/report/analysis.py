"""From a study's results to the numbers of its report (summary.json)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gan_aug.metrics.classification import found_classes
from gan_aug.report.quality import summarise_quality
from gan_aug.report.results import LOWER_IS_BETTER, Job, Study
from gan_aug.report.rules import rules
from gan_aug.report.statistics import (
    LEAST_DRAWS,
    Comparison,
    compare,
    correct,
    draws_needed,
    interval_over_images,
    visible_difference,
)

REFERENCES = ("real", "duplicate")
POINTS = (1, 3)
"""Differences in accuracy, in points, that the power is computed for."""

Condition = tuple[Any, ...]
Key = tuple[Condition, str, str]
"""Condition, arm, reference."""


def splits_to_report(study: Study) -> list[str]:
    """Return the primary split and, beside it, the in-distribution test."""
    others = [s for s in ("internal",) if s in study.first["splits"] and s != study.primary]
    return [study.primary, *others]


def comparisons(study: Study, split: str, metric: str) -> dict[Key, Comparison]:
    """Compare all arms with `real`, with `duplicate`, and the pairs that the study names.

    Holm's correction is over all arms and conditions compared with `real`, likewise with
    `duplicate`, and over all pairs that the study names.
    """
    better_up = metric not in LOWER_IS_BETTER
    found: dict[Key, Comparison] = {}
    for condition in study.conditions:
        values = study.by_draw(condition, split, metric)
        for arm, reference in _pairs(study):
            if arm in values and reference in values:
                both = values[[arm, reference]].dropna()
                pair = (both[arm].to_numpy(float), both[reference].to_numpy(float))
                found[condition, arm, reference] = compare(*pair, better_up)
    families: dict[str, list[Key]] = {}
    for key in found:
        families.setdefault(key[2] if key[2] in REFERENCES else "named", []).append(key)
    for family in families.values():
        for key, corrected in zip(family, correct([found[k] for k in family]), strict=True):
            found[key] = corrected
    return found


def _pairs(study: Study) -> Iterator[tuple[str, str]]:
    for reference in REFERENCES:
        for arm in study.arms:
            if reference in study.arms and arm not in (reference, "real"):
                yield arm, reference
    asked, against = study.first["question"].values()
    named = [(asked, against), *map(tuple, study.first["comparisons"])]
    if study.control:
        named.append((asked, study.control))
    for arm, reference in dict.fromkeys(named):
        if reference not in REFERENCES:
            yield arm, reference


def arm_statistics(study: Study, split: str, metric: str) -> dict[tuple[Condition, str], Any]:
    """Return mean and sd over draws, and the sd between repeats of a draw, of every arm."""
    found: dict[tuple[Condition, str], Any] = {}
    for condition in study.conditions:
        values = study.by_draw(condition, split, metric)
        repeats = study.rows(condition)
        for arm in study.arms:
            of_arm = values[arm].dropna()
            within = repeats[repeats["arm"] == arm].groupby("draw")[f"{split}_{metric}"].var()
            found[condition, arm] = {
                "draws": len(of_arm),
                "mean": float(of_arm.mean()),
                "sd": float(of_arm.std()) if len(of_arm) > 1 else None,
                "sd_between_repeats": float(np.sqrt(within.mean()))
                if within.notna().any()
                else None,
            }
    return found


def summarise(study: Study) -> dict[str, Any]:
    """Return all numbers of the report, JSON-serialisable."""
    question, reference = study.first["question"].values()
    splits: dict[str, Any] = {}
    for split in splits_to_report(study):
        splits[split] = {}
        for metric in study.metrics:
            arms, pairs = arm_statistics(study, split, metric), comparisons(study, split, metric)
            splits[split][metric] = [
                {
                    "condition": dict(zip(study.keys, condition, strict=True)),
                    "arms": {arm: arms[condition, arm] for arm in study.arms},
                    "comparisons": [
                        {"arm": key[1], "reference": key[2], **pairs[key].as_dict()}
                        for key in pairs
                        if key[0] == condition
                    ],
                }
                for condition in study.conditions
            ]
    return {
        "study": study.name,
        "question": {"arm": question, "reference": reference},
        "adds": study.jobs[0].record.config["arms"][question]["added"]["source"],
        "shown_added": {arm: _shown_added(study, arm) for arm in study.arms},
        "control": study.control,
        "primary": study.primary,
        "classes": list(study.classes.names),
        "positive": study.classes.positive,
        "draws": sorted({job.metrics["draw"] for job in study.jobs}),
        "splits": splits,
        "over_draws_and_images": [
            {
                "condition": dict(zip(study.keys, condition, strict=True)),
                "arm": question,
                "reference": reference,
                "interval": _over_images(study, condition, question, reference),
            }
            for condition in study.conditions
        ],
        "power": power(study),
        "quality": summarise_quality(study),
        "rules": rules(study),
        "costs": costs(study),
        "provenance": provenance(study),
        "unfinished": study.unfinished,
        "warnings": sorted({w for job in study.jobs for w in job.data.warnings or []}),
    }


def _shown_added(study: Study, arm: str) -> float | None:
    """Return the share of added images among those that an arm was shown; None: not counted."""
    used = [
        fit.get("used") for job in study.jobs for fit in job.metrics["fits"] if fit["arm"] == arm
    ]
    if not used or not all(used):
        return None
    shown = {part: sum(sum(u[part]["shown"].values()) for u in used if u) for part in used[0]}
    return float(shown["added"] / sum(shown.values()))


def _over_images(
    study: Study, condition: Condition, arm: str, reference: str
) -> list[float] | None:
    repeats = range(study.jobs[0].record.config["study"]["repeats"])
    wanted = {(name, repeat) for name in (arm, reference) for repeat in repeats}
    jobs = [
        job
        for job in study.of(condition)
        if wanted <= {(f["arm"], f["repeat"]) for f in job.metrics["fits"]}
    ]
    # Validation and internal test hold other patients in every draw.
    if len(jobs) < LEAST_DRAWS or study.primary not in ("test", "development"):
        return None
    right = {}
    for name in (arm, reference):
        arrays = [[job.arrays(name, repeat) for repeat in repeats] for job in jobs]
        labels = f"{study.primary}_labels"
        right[name] = np.array(
            [
                [found_classes(a[study.primary], study.classes) == a[labels] for a in d]
                for d in arrays
            ]
        )
    return list(interval_over_images(right[arm], right[reference]))


def power(study: Study) -> list[dict[str, Any]]:
    """Return, for the usual accuracy against `real`, what so many draws can show.

    `draws_needed` is for one test at 5%, `draws_needed_holm` for the first step of Holm's
    correction over all that is compared with `real`.
    """
    found = []
    against_real = {
        key: c
        for key, c in comparisons(study, study.primary, "accuracy").items()
        if key[2] == "real"
    }
    for (condition, arm, _), c in against_real.items():
        if c.sd is not None:
            sd, first_step = c.sd, 0.05 / len(against_real)
            found.append(
                {
                    "condition": dict(zip(study.keys, condition, strict=True)),
                    "arm": arm,
                    "sd": c.sd,
                    "draws_needed": {str(p): draws_needed(sd, p / 100) for p in POINTS},
                    "draws_needed_holm": {
                        str(p): draws_needed(sd, p / 100, first_step) for p in POINTS
                    },
                    "visible": visible_difference(c.sd, c.draws) if c.draws > 1 else None,
                }
            )
    return found


def costs(study: Study) -> dict[str, Any]:
    """Return seconds: of each GAN (counted once), and of each arm's fits."""
    gans = {
        gan["checkpoint_sha256"]: gan["seconds"]
        for job in study.jobs
        for gan in job.metrics["gans"].values()
    }
    fits = [fit for job in study.jobs for fit in job.metrics["fits"]]
    return {
        "gans": len(gans),
        "gan_seconds_mean": float(np.mean(list(gans.values()))) if gans else 0.0,
        "gan_seconds_total": float(sum(gans.values())),
        "fit_seconds_mean": {
            arm: float(np.mean([f["seconds"] for f in fits if f["arm"] == arm]))
            for arm in study.arms
        },
        "fits": len(fits),
        "fit_seconds_total": float(sum(f["seconds"] for f in fits)),
    }


def provenance(study: Study) -> dict[str, Any]:
    """Return what the numbers came from; lists hold every value that occurs."""

    def all_of(what: Callable[[Job], Any]) -> list[Any]:
        found: list[Any] = []
        for value in map(what, study.jobs):
            if value not in found:
                found.append(value)
        return found

    run_by = {job.record.git_commit for job in study.jobs}
    fitted_by = {fit.get("git_commit") for job in study.jobs for fit in job.metrics["fits"]}
    return {
        "fingerprint": study.jobs[0].data.fingerprint,
        "data": study.jobs[0].record.config["data"]["name"],
        "images": all_of(lambda job: job.data.used),
        "versions": all_of(lambda job: job.record.versions),
        "python": all_of(lambda job: job.record.python),
        "machine": all_of(lambda job: job.record.machine),
        "git_commit": sorted((run_by | fitted_by) - {None}),
        "commands": sorted({" ".join(job.record.command) for job in study.jobs}),
    }
