"""Rules of measurement over all draws: those that `gan_aug.study.rules` cannot see in one."""

from __future__ import annotations

from itertools import product

from gan_aug.report.records import RuleCheck
from gan_aug.report.statistics import LEAST_DRAWS
from gan_aug.report.study import FinishedDraw, Study


class StudyCheck(RuleCheck):
    """Whether a rule was kept in all draws, and which broke it."""

    failed_in: list[str]


def rules(study: Study) -> list[StudyCheck]:
    """Return every rule with whether it was kept in all draws, and those only a study can break."""
    merged: dict[int, StudyCheck] = {}
    for job in study.jobs:
        for check in job.result.checks:
            rule = merged.get(check.rule) or StudyCheck(**dict(check), failed_in=[])
            if not check.passed:
                failed_in = [*rule.failed_in, _name(study, job)]
                rule = _broken(rule, check.detail, failed_in)
            merged[check.rule] = rule
    steps = {fit.steps for fit in study.fits}
    if 4 in merged and len(steps) > 1:
        detail = f"fits of {sorted(steps)} steps in one study"
        merged[4] = _broken(merged[4], detail, merged[4].failed_in)
    merged |= {8: _refitted(study), 9: _paired(study)}
    return [merged[number] for number in sorted(merged)]


def _name(study: Study, job: FinishedDraw) -> str:
    return str(job.folder.relative_to(study.folder))


def _broken(rule: StudyCheck, detail: str, failed_in: list[str]) -> StudyCheck:
    update = {"passed": False, "detail": detail, "failed_in": failed_in}
    return rule.model_copy(update=update)


def _refitted(study: Study) -> StudyCheck:
    gans: dict[str, set[int]] = {}  # by checkpoint: classes may share one
    sets: dict[str, set[int]] = {}  # by the pixels of external sets
    for job in study.jobs:
        for gan in job.result.gans.values():
            gans.setdefault(gan.checkpoint_sha256, set()).add(job.result.draw)
        for one in job.result.external:
            sets.setdefault(one.sha256, set()).add(job.result.draw)
    passed, said = True, []
    for made, what in ((gans, f"{study.maker}s"), (sets, "external sets")):
        shared = sum(len(draws) > 1 for draws in made.values())
        passed &= not shared
        if made:
            of_several = f", {shared} of them for several" if shared else ""
            said.append(f"{len(made)} {what} for {len(study.draws)} draws{of_several}")
    return StudyCheck(
        rule=8,
        title=f"A {study.maker} is fitted for each draw",
        passed=passed,
        detail="; ".join(said) or "the study has no GAN",
        failed_in=[],
    )


def _paired(study: Study) -> StudyCheck:
    least = min(len(study.of(condition)) for condition in study.conditions)
    wanted = set(product(study.first.arms, range(study.first.repeats)))
    gaps = [
        _name(study, job)
        for job in study.jobs
        if {(fit.arm, fit.repeat) for fit in job.result.fits} != wanted
    ]
    return StudyCheck(
        rule=9,
        title="Results are paired differences over draws, with intervals",
        passed=least >= LEAST_DRAWS and not gaps,
        detail=f"{least} draws at least, {len(gaps)} of them with fits missing",
        failed_in=gaps,
    )
