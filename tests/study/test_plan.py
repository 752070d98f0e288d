"""`plan=true`: what it says is what a study does, and it leaves nothing behind."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_study import ENDPOINT, change, write_study
from omegaconf import OmegaConf
from support import TINY_STUDY, read_json, settings_of

from gan_aug.report.power import _of_pair, lines_on_power
from gan_aug.report.statistics import compare, draws_needed
from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.sweep_table import print_table
from gan_aug.settings.design import Endpoint, Question
from gan_aug.study import ending, timing
from gan_aug.study.ending import RememberStudy, finish
from gan_aug.study.plan import _each_line_once, plan_jobs, planned
from gan_aug.study.planned import Planned, _of

Command = Callable[..., Any]
TINY = (
    "+study=worth",
    *(one for one in TINY_STUDY if not one.startswith(("data.subset", "study.count"))),
    "model.batch_size=8",
    "study.count=10",
    "study.ruler=[20,30]",
    "study.gan_curve_points=null",
    "study.gan_select=null",
    "quality.use=[kid]",
    "study_dir=s",
)
SIZES = ("study.per_class=20", "study.per_class=25")
ASKED = Question(arm="gan", reference="real")


def jobs_of(tmp_path: Path, cache: Path, **changes: Any) -> list[Any]:
    """Return the settings of a job for each size."""
    where = {"study_dir": str(tmp_path / "s"), "gans_dir": str(tmp_path / "runs/gans")}
    where |= {"quality__reference_dir": str(tmp_path / "runs/reference")}
    where |= {"data__cache_dir": str(cache / "gan_aug")}
    return [settings_of("study", *TINY, size, **where, **changes) for size in SIZES]


def test_jobs_leave_fits_to_later_ones(tmp_path: Path, cache_home: Path) -> None:
    plan = planned(jobs_of(tmp_path, cache_home))
    first, second = plan.jobs
    # 9 arms, and two of the ruler; that of 20 images is `real`.
    assert (len(first.gans), first.gans_there) == (2, 0)
    assert (len(first.fits), first.fits_there) == (10, 1)
    assert (len(second.gans), len(second.fits), second.fits_there) == (2, 11, 0)
    again = planned([*jobs_of(tmp_path, cache_home), jobs_of(tmp_path, cache_home)[0]]).jobs[2]
    assert (len(again.gans), again.gans_there) == (0, 2)
    assert (len(again.fits), again.fits_there) == (3, 8), "images of GANs are not known before"
    titles = {kind.title: len(plan.fits_of(kind)) for kind in plan.kinds.values()}
    assert titles["GAN dcgan"] == 4
    assert titles["reference classifier"] == 1
    assert {one.steps for one in first.gans} == {8}
    assert plan.images["training"]["normal"] == (25, 175, 20)
    assert plan.images["further, for arms"]["normal"] == (10, 150, 5)
    assert not list(tmp_path.iterdir())
    # Each pair once under each size; arms of the ruler are compared with none.
    pairs = {pair for _, pair in plan.compared}
    assert len(plan.compared) == 2 * len(pairs)
    assert {("gan", "real"), ("gan", "duplicate")} < pairs
    assert not any("ruler" in arm for pair in pairs for arm in pair)


def test_a_job_that_cannot_run_ends_the_plan(tmp_path: Path, cache_home: Path) -> None:
    jobs = jobs_of(tmp_path, cache_home, study__ruler=[20, 1000])
    with pytest.raises(GanAugError, match=r"leaves only \d+ normal training images over.*ruler"):
        planned(jobs)


def said_of_all(plan: str, jobs: str) -> None:
    assert f"s: {jobs} would run; 0 finished before" in plan
    for said in ("GANs to fit", "core-minutes", "not in it:", "are free", "run 5 draws"):
        assert said in plan


def test_a_plan_of_one_job(
    tmp_path: Path, cache_home: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan_aug.study.planned.SECONDS", 1.0)
    job = jobs_of(tmp_path, cache_home)[0]
    plan_jobs(job, [job], 1)
    plan = capsys.readouterr().out
    said_of_all(plan, "1 job")
    assert "GAN dcgan" in plan
    assert not list(tmp_path.iterdir())


def test_jobs_with_unlike_numbers_to_measure_with_are_said_once(
    tmp_path: Path, cache_home: Path, capsys: Any
) -> None:
    plan = planned(jobs_of(tmp_path, cache_home, quality__count=500))
    most, fewest, least = plan.images["unseen, to measure with"]["normal"]
    assert fewest == least < most < 500
    assert capsys.readouterr().err.count(" normal images to compare with are left") == 1
    plan.show(str(tmp_path), 1)
    assert f"{fewest} to {most}" in capsys.readouterr().out


def test_jobs_that_need_less_where_less_is_there_are_a_range_of_needs() -> None:
    plan = Planned(0)
    for needed, there in ((90, 140), (0, 50)):
        plan.count("further, for arms", {"sick": (needed, there)})
    assert _of(*plan.images["further, for arms"]["sick"]) == "0 to 90"


def test_each_class_that_lacks_images_is_said_whatever_it_is_called(capsys: Any) -> None:
    said = set[str]()
    for left in (21, 12):
        with _each_line_once(said):
            for name in ("grade_1", "grade_2", "3"):
                warn(f"quality.count=50: only {left} {name} images; it is measured with N = {left}")
            warn(f"draw_{left}: is damaged")
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("only ")[2][:10] for line in lines if "only" in line] == [
        "21 grade_1", "21 grade_2", "21 3 image"
    ]  # fmt: skip
    assert [line for line in lines if "only" not in line] == [
        "warning: draw_21: is damaged", "warning: draw_12: is damaged"
    ]  # fmt: skip


def test_a_plan_says_what_it_takes_and_writes_nothing(tmp_path: Path, command: Command) -> None:
    without_gans = (*TINY, "study.per_class=20", "quality.use=[]", "~arms.mixup", "~arms.gan")
    without_gans += ("~arms.classic_gan", "study.question.arm=classic", "study.comparisons=[]")
    swept = ("-m", "model=dcgan", "draw=range(0,2)", "plan=true")
    said_of_all(command("study", *without_gans, *swept, check=True).stdout, "2 jobs")
    assert not list(tmp_path.iterdir())
    said = "error: data.subset.normal=1000: only"
    command("study", *without_gans, "study.per_class=1000", "plan=true", refused=said)
    assert not list(tmp_path.iterdir())


def test_a_plan_reads_no_data_before_it_must(tmp_path: Path, command: Command) -> None:
    """A wrong arm is told first; of a finished draw the data may be gone."""
    typed = ("+study=own", "data.root=gone", "study_dir=s", "plan=true")
    said = "error: arms.gan.pretrain=0.0001: leaves no step"
    command("study", *typed, "arms.gan.pretrain=0.0001", refused=said)
    command("study", *typed, refused="error: data.root=gone: no such folder")
    given = settings_of("study", *typed).plain()
    record = write_study(tmp_path / "s", {"real": 0.0, "gan": 0.0}, 1) / "draw_0" / "run.json"
    change(record, lambda run: run.update(given=given, config=given))
    said = "s: 0 jobs would run; 1 finished before"
    assert said in command("study", *typed, check=True).stdout


def test_the_folder_of_a_plan_is_the_studys(tmp_path: Path) -> None:
    """Not the one that Python runs in, whose report a notebook would show."""
    write_study(tmp_path / "s", {"real": 0, "gan": 0.01}, 2)
    hydra = {"run": {"dir": "x"}, "sweep": {"dir": "x"}}
    config = {"plan": True, "study_dir": str(tmp_path / "s"), "hydra": hydra}
    RememberStudy().on_multirun_start(OmegaConf.create(config))
    assert finish() == tmp_path / "s"
    assert not (tmp_path / "s" / "report.html").exists()
    assert finish() is None


def test_a_study_without_new_draws_says_where_its_report_is(tmp_path: Path, capsys: Any) -> None:
    page = write_study(tmp_path / "s", {"real": 0, "gan": 0.01}, 2) / "report.html"
    page.write_text("as it was")
    config = {"plan": False, "study_dir": str(tmp_path / "s")}
    RememberStudy().on_run_start(OmegaConf.create(config))
    finish()
    assert f"report      {page}" in capsys.readouterr().out
    assert page.read_text() == "as it was"


def test_the_table_of_a_multirun_that_is_stopped_as_it_waits_is_not_the_next_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A notebook would show the study in place of what it ran next."""

    def stop(_: Path) -> None:
        raise KeyboardInterrupt

    write_study(tmp_path / "s", {"real": 0, "gan": 0.01}, 2)
    config = {"plan": False, "study_dir": str(tmp_path / "s")}
    config |= {"hydra": {"sweep": {"dir": str(tmp_path / "s")}}}
    RememberStudy().on_multirun_start(OmegaConf.create(config))
    monkeypatch.setattr(ending, "wait_until_free", stop)
    assert ending._running is not None
    ending._running.with_others.append(tmp_path / "s" / "draw_1")
    with pytest.raises(KeyboardInterrupt):
        finish()
    assert "skipped, finished before" in capsys.readouterr().out
    assert print_table() is None


def test_a_clock_goes_to_each_place_and_ends_the_training(monkeypatch: Any) -> None:
    """Every look at the time is a second after the one before; two seconds are a place's share."""
    seconds = itertools.count()
    monkeypatch.setattr(timing, "_now", lambda: np.array([next(seconds), 0.0]))
    clock, module = timing.Clock(4.0, (0.5, 0.0)), type("M", (), {"batches_done": 0})()
    trainer = type("T", (), {"num_training_batches": 10, "max_epochs": 2, "should_stop": False})()
    clock._go_to_next(trainer, module)
    places = []
    while not trainer.should_stop:
        places.append(module.batches_done)
        clock.on_train_batch_end(trainer, module)  # type: ignore[arg-type]
    assert places == [10, 10, 10, 0, 0, 0]  # the first of each place is not counted
    assert clock.step.tolist() == [1.0, 0.0]


def test_draws_are_those_of_the_standard_deviation(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", {"real": 0, "duplicate": 0, "gan": 0.01}, 8, noise=0.01)
    endpoint, own = Endpoint.model_validate(ENDPOINT), ({}, ("gan", "real"))
    heading, line = lines_on_power(folder, endpoint, ASKED, [own])
    assert "1 point of test accuracy, gan less real" in heading
    values = [json.loads(path.read_text()) for path in sorted(folder.glob("draw_*/run.json"))]
    assert len(values) == 8
    assert "over 8 draws: " in line
    assert "corrected for up to 3 comparisons" in line
    # Of conditions that have no draws yet: the report will correct over them too.
    pairs = [("gan", "real"), ("a", "real")]
    coming = [({"per_class": size}, pair) for size in (25, 50) for pair in pairs]
    (_, line_of_all) = lines_on_power(folder, endpoint, ASKED, [own, *coming])
    assert "corrected for up to 7 comparisons" in line_of_all
    (low, high) = (float(x) for x in line.partition("interval ")[2].partition(")")[0].split(" to "))
    sd = float(line.partition("SD ")[2].partition(" ")[0])
    assert low < sd < high
    assert high / sd == pytest.approx(np.sqrt(7 / 1.6899), rel=0.01)  # chi-squared, 2.5 %


def test_equal_draws_tell_no_number(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", {"real": 0, "gan": 0.01}, 2, noise=0)
    _, line = lines_on_power(folder, Endpoint.model_validate(ENDPOINT), ASKED, [])
    assert "over 2 draws, all with the same difference: no number is known yet" in line


def test_nearly_equal_draws_are_not_called_equal(tmp_path: Path) -> None:
    """As AUROCs near 1 are, whose steps are small."""
    pair = compare(np.array([8e-5, 0.0] * 5), np.zeros(10))
    assert _of_pair(pair, 0.01, 1).endswith(" over 10 draws: 6 draws (6 to 6)")


def test_without_draws_it_says_so(tmp_path: Path) -> None:
    endpoint = Endpoint.model_validate(ENDPOINT)
    asked = [({}, ("gan", "real"))]
    _, nothing, table, advice = lines_on_power(tmp_path / "none", endpoint, ASKED, asked)
    assert "nothing is known yet" in nothing
    assert table.endswith("0.5, 1, 2, 3 points: 6, 10, 34, 73 draws")
    assert [draws_needed(sd, 1.0) for sd in (0.5, 1, 2, 3)] == [6, 10, 34, 73]
    assert "run 5 draws" in advice
    several = [({"per_class": size}, ("gan", "real")) for size in range(20)]
    table = [*lines_on_power(tmp_path / "none", endpoint, ASKED, several)][2]
    needed = ", ".join(str(draws_needed(sd, 1.0, 0.05 / 20)) for sd in (0.5, 1, 2, 3))
    assert table.endswith(f"73 draws; corrected for up to 20 comparisons: {needed} draws")
    without = endpoint.model_copy(update={"smallest_effect": None})
    assert "smallest_effect" in next(lines_on_power(tmp_path, without, ASKED, asked))


@pytest.mark.slow
def test_what_was_planned_is_what_is_done(tmp_path: Path, command: Command) -> None:
    cache = tmp_path / "cache"
    plan = planned(jobs_of(tmp_path, cache))
    sweep = ("-m", *TINY, f"study.per_class={','.join(s.split('=')[1] for s in SIZES)}")
    sweep += ("model=dcgan", "hydra/launcher=basic", f"data.cache_dir={cache / 'gan_aug'}")
    command("study", *sweep, "plan=true", check=True)
    command("study", *sweep, check=True)
    for job in plan.jobs:
        result = read_json(tmp_path / "s" / job.settings.study.folder / "metrics.json")
        new = [fit for fit in result["fits"] if not fit.get("reused")]
        assert len(new) == len(job.fits)
        assert len(result["fits"]) == len(job.fits) + job.fits_there
        assert sum(not gan["reused"] for gan in result["gans"].values()) == len(job.gans)
    again = command("study", *sweep, "plan=true")
    assert "s: 0 jobs would run; 2 finished before" in again.stdout
    assert "nothing is known yet" in again.stdout  # of one draw
