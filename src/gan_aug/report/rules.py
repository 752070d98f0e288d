"""Rules of measurement over all draws: those that `gan_aug.study.rules` cannot see in one."""

from __future__ import annotations

from gan_aug.report.records import RuleCheck
from gan_aug.report.statistics import LEAST_DRAWS
from gan_aug.report.study import Study


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
            rule = merged.get(check.rule) or StudyCheck(**dict(check), failed_in=[])
            if not check.passed:
                failed_in = [*rule.failed_in, str(job.folder.relative_to(study.folder))]
                rule = rule.model_copy(
                    update={"passed": False, "detail": check.detail, "failed_in": failed_in}
                )
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
        return rule.model_copy(update={"passed": False, "detail": detail})
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
    return StudyCheck(
        rule=8,
        title="A GAN is fitted for each draw",
        passed=not shared,
        detail=detail,
        failed_in=[],
    )


def _paired(study: Study) -> StudyCheck:
    draws = [len(study.of(condition)) for condition in study.conditions]
    repeats = range(study.first.repeats)
    wanted = {(arm, repeat) for arm in study.first.arms for repeat in repeats}
    gaps = [
        str(job.folder.relative_to(study.folder))
        for job in study.jobs
        if {(fit.arm, fit.repeat) for fit in job.result.fits} != wanted
    ]
    return StudyCheck(
        rule=9,
        title="Results are paired differences over draws, with intervals",
        passed=min(draws) >= LEAST_DRAWS and not gaps,
        detail=f"{min(draws)} draws at least, {len(gaps)} of them with fits missing",
        failed_in=gaps,
    )
