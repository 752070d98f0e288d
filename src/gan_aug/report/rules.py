"""Rules of measurement over all draws: those that `gan_aug.study.rules` cannot see in one."""

from __future__ import annotations

from typing import Any

from gan_aug.report.results import Study
from gan_aug.report.statistics import LEAST_DRAWS


def rules(study: Study) -> list[dict[str, Any]]:
    """Return every rule with whether it was kept in all draws, and those only a study can break."""
    merged: dict[int, dict[str, Any]] = {}
    for job in study.jobs:
        for check in job.metrics["checks"]:
            rule = merged.setdefault(check["rule"], dict(check) | {"failed_in": []})
            if not check["passed"]:
                rule["failed_in"].append(str(job.folder.relative_to(study.folder)))
                rule |= {"passed": False, "detail": check["detail"]}
    if 4 in merged:
        _across_jobs(study, merged[4])
    merged[8] = _refitted(study)
    merged[9] = _paired(study)
    return [merged[number] for number in sorted(merged)]


def _across_jobs(study: Study, rule: dict[str, Any]) -> None:
    steps = {fit["steps"] for job in study.jobs for fit in job.metrics["fits"]}
    if len(steps) > 1:
        rule |= {"passed": False, "detail": f"fits of {sorted(steps)} steps in one study"}


def _refitted(study: Study) -> dict[str, Any]:
    seen: dict[tuple[Any, ...], set[int]] = {}
    for job in study.jobs:
        for name, gan in job.metrics["gans"].items():
            key = (name, gan["checkpoint_sha256"])
            seen.setdefault(key, set()).add(job.metrics["draw"])
    shared = [key for key, draws in seen.items() if len(draws) > 1]
    detail = f"{len(seen)} GANs for {len({j.metrics['draw'] for j in study.jobs})} draws"
    if not seen:
        detail = "the study has no GAN"
    if shared:
        detail = f"{len(shared)} GANs serve several draws"
    title = "A GAN is fitted for each draw"
    return {"rule": 8, "title": title, "passed": not shared, "detail": detail, "failed_in": []}


def _paired(study: Study) -> dict[str, Any]:
    draws = [len(study.of(condition)) for condition in study.conditions]
    wanted = {
        (a, r) for a in study.arms for r in range(study.jobs[0].record.config["study"]["repeats"])
    }
    gaps = [
        str(job.folder.relative_to(study.folder))
        for job in study.jobs
        if {(f["arm"], f["repeat"]) for f in job.metrics["fits"]} != wanted
    ]
    return {
        "rule": 9,
        "title": "Results are paired differences over draws, with intervals",
        "passed": min(draws) >= LEAST_DRAWS and not gaps,
        "detail": f"{min(draws)} draws at least, {len(gaps)} of them with fits missing",
        "failed_in": gaps,
    }
