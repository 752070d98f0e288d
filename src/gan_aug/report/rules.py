"""Rules of measurement over all draws: those that `gan_aug.study.rules` cannot see in one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gan_aug.report.draw_result import RuleCheck
from gan_aug.report.results import Study
from gan_aug.report.statistics import LEAST_DRAWS


@dataclass(frozen=True)
class StudyCheck(RuleCheck):
    """Whether a rule was kept in all draws.

    Attributes:
        failed_in: draws that broke it.
    """

    failed_in: list[str]


def rules(study: Study) -> list[StudyCheck]:
    """Return every rule with whether it was kept in all draws, and those only a study can break."""
    merged: dict[int, StudyCheck] = {}
    for job in study.jobs:
        for check in job.result.checks:
            rule = merged.get(check.rule) or StudyCheck(**vars(check), failed_in=[])
            if not check.passed:
                failed_in = [*rule.failed_in, str(job.folder.relative_to(study.folder))]
                rule = replace(rule, passed=False, detail=check.detail, failed_in=failed_in)
            merged[check.rule] = rule
    if 4 in merged:
        merged[4] = _across_jobs(study, merged[4])
    merged[8] = _refitted(study)
    merged[9] = _paired(study)
    return [merged[number] for number in sorted(merged)]


def _across_jobs(study: Study, rule: StudyCheck) -> StudyCheck:
    steps = {fit.steps for job in study.jobs for fit in job.result.fits}
    if len(steps) > 1:
        detail = f"fits of {sorted(steps)} steps in one study"
        return replace(rule, passed=False, detail=detail)
    return rule


def _refitted(study: Study) -> StudyCheck:
    seen: dict[str, set[int]] = {}  # by checkpoint: classes may share one
    for job in study.jobs:
        for gan in job.result.gans.values():
            seen.setdefault(gan.checkpoint_sha256, set()).add(job.result.draw)
    shared = [key for key, draws in seen.items() if len(draws) > 1]
    detail = f"{len(seen)} GANs for {len({job.result.draw for job in study.jobs})} draws"
    if not seen:
        detail = "the study has no GAN"
    if shared:
        detail = f"{len(shared)} GANs serve several draws"
    return StudyCheck(8, "A GAN is fitted for each draw", not shared, detail, [])


def _paired(study: Study) -> StudyCheck:
    draws = [len(study.of(condition)) for condition in study.conditions]
    repeats = range(study.settings.study.repeats)
    wanted = {(arm, repeat) for arm in study.first.arms for repeat in repeats}
    gaps = [
        str(job.folder.relative_to(study.folder))
        for job in study.jobs
        if {(fit.arm, fit.repeat) for fit in job.result.fits} != wanted
    ]
    return StudyCheck(
        9,
        "Results are paired differences over draws, with intervals",
        min(draws) >= LEAST_DRAWS and not gaps,
        f"{min(draws)} draws at least, {len(gaps)} of them with fits missing",
        gaps,
    )
