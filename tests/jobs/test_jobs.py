"""What a multirun's overrides become, without starting anything."""

from __future__ import annotations

import copy
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from job_files import multirun, submit, write_run
from omegaconf import DictConfig, OmegaConf, open_dict
from support import TINY_STUDY, run_command

from gan_aug.jobs import compose, launching
from gan_aug.jobs.compose import Composer, refuse_empty
from gan_aug.jobs.launching import (
    _is_of_the_multirun,
    _not_done,
    _refuse_other_settings,
    raise_first,
    slots_of,
)
from gan_aug.jobs.pool import Ended, JobPool
from gan_aug.jobs.slurm import _report_if_last, _tasks_of, check
from gan_aug.jobs.submission import Job, Submission
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.hardware import cores
from gan_aug.runtime.launched import BUSY, PARENT, WAIT
from gan_aug.runtime.record import STOPPED
from gan_aug.runtime.run_record import read_record
from gan_aug.settings.whole import plain_of
from hydra_plugins.gan_aug_multirun import _check_data

STUDY = ["+study=seed_protocol", *TINY_STUDY]


def job(folder: str, *overrides: str, number: int = 0) -> Job:
    return Job(number=number, folder=folder, overrides=list(overrides))


def composer_of(study: Path, *hydra: str) -> Composer:
    """Return what composes the jobs of a multirun in a folder."""
    loader, master = multirun("study", *STUDY, *hydra)
    master.study_dir = str(study)
    return Composer(loader, master)


def submission(
    sweep: Path,
    jobs: list[Job],
    arguments: Sequence[str] = (),
    hydra: Sequence[str] = (),
    kind: type[Submission] = Submission,
) -> Submission:
    return kind(
        command="study",
        arguments=list(arguments),
        hydra=list(hydra),
        launcher="local",
        submitted=time.time(),
        jobs=jobs,
    ).keep_in(sweep)


def test_jobs_of_a_kind_are_composed_once_and_are_what_hydra_composes(tmp_path: Path) -> None:
    swept = [[*STUDY, f"draw={i}", f"seed={i % 3}"] for i in range(100)]
    composer, asked = composer_of(tmp_path), []
    loader = composer.loader

    class Counting:
        def load_sweep_config(self, *arguments: Any) -> DictConfig:
            asked.append(arguments)
            return loader.load_sweep_config(*arguments)

    composer.loader = Counting()  # type: ignore[assignment]
    jobs = [composer.job(i, overrides) for i, overrides in enumerate(swept)]
    assert len(asked) == 1
    assert [job.folder for job in jobs] == [f"draw_{i}" for i in range(100)]
    mine = composer.config(77, swept[77])
    hydras = loader.load_sweep_config(composer.master, swept[77])
    plain = [OmegaConf.to_container(c, resolve=False) for c in (mine, hydras)]
    for config in plain:
        assert isinstance(config, dict)
        del config["hydra"]
    assert plain[0] == plain[1]
    assert mine.hydra.overrides.task == hydras.hydra.overrides.task


def test_what_differs_by_more_than_its_number_is_another_kind() -> None:
    assert compose._kind(["draw=3", "seed=0", "a=1", "draw=-1"]) == ("a=1", "draw=-1")


def test_finished_jobs_are_left_out_unless_a_setting_has_changed(tmp_path: Path) -> None:
    """And two of one folder are refused; numbers go on where the batch before ended."""
    swept = [[*STUDY, f"draw={i}"] for i in range(3)]
    composer = composer_of(tmp_path)
    for draw, status in ((0, "finished"), (1, "failed")):
        config = copy.deepcopy(composer.config(draw, swept[draw]))
        with open_dict(config):
            del config["hydra"]
        given = plain_of(config)
        write_run(tmp_path / f"draw_{draw}", status, config=given, given=given)
    missing = [(job.number, job.folder) for job in composer.missing(swept, 3)]
    assert missing == [(4, "draw_1"), (5, "draw_2")]
    longer = [[*job, "study.steps=21"] for job in swept]
    assert len(composer.missing(longer, 0)) == 3
    message = r"draw_0: is the folder of job 0 .*seed_.*\) and of job 1 .*study.steps=21\)"
    with pytest.raises(GanAugError, match=message):
        composer.missing([swept[0], longer[0]], 0)


def test_which_settings_of_hydra_a_job_is_given() -> None:
    kept = ("hydra.job_logging=disabled", "hydra.verbose=true", "hydra/job_logging=none")
    left = (
        "hydra/launcher=submitit_slurm", "hydra.launcher.pack=3", "hydra/sweeper=grid",
        "hydra.sweep.dir=x", "+hydra.sweeper.params={}", "hydra.mode=MULTIRUN", "hydra.run.dir=x",
    )  # fmt: skip
    assert not any(map(_is_of_the_multirun, kept))
    assert all(map(_is_of_the_multirun, left))


def test_a_job_is_a_command_of_its_own(tmp_path: Path) -> None:
    jobs = [job("흉부 1", "draw=7", number=7)]
    made = submission(tmp_path, jobs, ["-m", "draw=7"], ["hydra.verbose=true"])
    assert Submission.load(made.folder) == made
    assert made.command_line(0) == [
        sys.executable, "-m", "gan_aug.study", "hydra.verbose=true", "draw=7",
        f'hydra.run.dir="{tmp_path}/흉부 1"', f'hydra.sweep.dir="{tmp_path}"', "hydra.job.num=7",
        "hydra.mode=RUN",
    ]  # fmt: skip
    assert made.environment() == {"GAN_AUG_COMMAND": "python -m gan_aug.study -m draw=7"}


@pytest.mark.parametrize(
    ("code", "log", "stopping", "state", "reason"),
    [
        (0, "", False, "finished", None),
        (1, "x\nerror: data.root=y: no folder\n", False, "failed", "data.root=y: no folder"),
        (1, "Fatal Python error\nlast words\n\n", False, "failed", "exit code 1: last words"),
        (1, f"error: old\n{'x' * 50_000}\nerror: 새 것\n", False, "failed", "새 것"),
        (-9, "", False, "failed", "ended by signal 9 (Killed); out of memory?"),
        (-9, "", True, "interrupted", STOPPED),
        (143, "error: stopped by SIGTERM\n", False, "interrupted", STOPPED),
        (75, "error: busy\n", False, "busy", None),
    ],
)  # fmt: skip
def test_how_a_job_ended(
    code: int, log: str, stopping: bool, state: Any, reason: str | None, tmp_path: Path
) -> None:
    """What an earlier attempt has said does not count."""
    path = tmp_path / "0.log"
    earlier = "error: stopped by SIGTERM\n"
    path.write_text(earlier + log)
    assert Ended.of(code, path, stopping, len(earlier)) == Ended(state, code, reason)


def test_the_first_failure_is_raised() -> None:
    with pytest.raises(GanAugError, match=r"^draw_1: why$"):
        raise_first([job("draw_0"), job("draw_1")], {"draw_1": "why"})
    raise_first([job("draw_0")], {})


def test_jobs_that_a_cluster_did_not_finish_are_told(tmp_path: Path) -> None:
    jobs = submit(tmp_path, "draw_0", "draw_1", "draw_2", launcher="slurm", attended=False)
    (jobs / "1.log").touch()
    write_run(tmp_path / "draw_0")
    write_run(tmp_path / "draw_1", "failed", reason="why")
    assert _not_done(tmp_path) == {
        "draw_1": f"why (its output: {jobs / '1.log'})",
        "draw_2": "waiting",
    }


# What a pool notes of jobs that could not


class Scripts(Submission):
    """Jobs that are lines of Python; RUN is their run folder, K their number."""

    def command_line(self, k: int) -> list[str]:
        return [
            sys.executable,
            "-c",
            f"RUN, K = {str(self.run_folder(k))!r}, {k}\n" + self.hydra[k],
        ]


def run_scripts(sweep: Path, *scripts: str, at_once: int = 3) -> JobPool:
    jobs = [job(f"draw_{k}", f"draw={k}", number=k) for k in range(len(scripts))]
    pool = JobPool(
        submission(sweep, jobs, ["-m"], scripts, Scripts), range(len(jobs)), [{}] * at_once
    )
    pool.start()
    while not pool.wait(60):
        pass
    assert pool.faults == []
    return pool


def status_of_draw(sweep: Path, draw: int) -> tuple[str, str | None]:
    record = read_record(sweep / f"draw_{draw}")
    assert record is not None
    return record.status, record.reason


def test_what_a_job_could_not_say_of_its_end_is_noted(tmp_path: Path) -> None:
    """It was killed, or never came so far; what it said itself, and what is finished, is kept."""
    for draw, status in ((1, "running"), (2, "finished"), (4, "failed"), (5, "interrupted")):
        write_run(tmp_path / f"draw_{draw}", status, reason="of before")
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    says = (
        "import json, sys; path = RUN + '/run.json'; record = json.load(open(path)); "
        "record |= {'status': 'failed', 'reason': 'its own'}; json.dump(record, open(path, 'w')); "
        "sys.exit(1)"
    )
    fails = "import sys; print('error: no such setting'); sys.exit(1)"
    pool = run_scripts(tmp_path, fails, kill, fails, "", fails, says)
    killed = "ended by signal 9 (Killed); out of memory?"
    assert [status_of_draw(tmp_path, draw) for draw in (0, 1, 2, 4, 5)] == [
        ("failed", "no such setting"),
        ("failed", killed),
        ("finished", "of before"),
        ("failed", "no such setting"),
        ("failed", "its own"),
    ]
    states = [pool.ended[k].state for k in range(6)]
    assert states == ["failed", "failed", "failed", "finished", "failed", "failed"]
    assert not (tmp_path / "draw_3").exists()
    unborn = read_record(tmp_path / "draw_0")
    assert unborn is not None
    assert unborn.command == ["python", "-m", "gan_aug.study", "-m"]
    assert (unborn.job, unborn.overrides, unborn.config) == (0, ["draw=0"], {})


def test_a_job_whose_folder_is_in_use_is_put_off_and_waits(tmp_path: Path) -> None:
    code = f"import os, sys; sys.exit(0 if {WAIT!r} in os.environ else {BUSY})"
    order = f"open({str(tmp_path / 'order')!r}, 'a').write(str(K))"
    pool = run_scripts(tmp_path, f"{order}; {code}", order, order, at_once=1)
    assert {ended.state for ended in pool.ended.values()} == {"finished"}
    assert (tmp_path / "order").read_text() == "0120"


def test_jobs_that_are_stopped_are_noted_and_no_other_starts(tmp_path: Path) -> None:
    jobs = [job(f"draw_{k}", number=k) for k in range(3)]
    sleeps = f"open({str(tmp_path)!r} + f'/{{K}}', 'w'); import time; time.sleep(60)"
    pool = JobPool(submission(tmp_path, jobs, [], [sleeps] * 3, Scripts), range(3), [{}] * 2)
    pool.start()
    while not all((tmp_path / str(k)).exists() for k in range(2)):
        time.sleep(0.01)
    pool.stop()
    states = {k: ended.state for k, ended in pool.ended.items()}
    assert states == {0: "interrupted", 1: "interrupted"}
    assert status_of_draw(tmp_path, 0) == ("interrupted", "stopped from outside; can go on")
    assert not (tmp_path / "2").exists()


@pytest.mark.parametrize(
    ("deaf", "ended_by"),
    [("", signal.SIGTERM), ("signal.signal(signal.SIGTERM, signal.SIG_IGN); ", signal.SIGKILL)],
)
def test_a_job_ends_when_its_launcher_is_gone(deaf: str, ended_by: int, tmp_path: Path) -> None:
    """Here the kernel would tell it, too; elsewhere nothing does. An import may swallow that."""
    launcher = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    code = (
        "import signal, time; from gan_aug.runtime import launched; "
        f"launched.GRACE_SECONDS = 0.5; {deaf}launched.end_with_launcher(); "
        "print('on', flush=True); time.sleep(60)"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {PARENT: str(launcher.pid)},
        stdout=subprocess.PIPE,
    )
    assert job.stdout is not None
    assert job.stdout.readline() == b"on\n"
    assert job.poll() is None
    launcher.kill()  # a zombie until this process asks
    assert job.wait(20) == -ended_by
    launcher.wait()


def test_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = OmegaConf.create({"trainer": {"accelerator": "cpu"}})
    assert len(slots_of(cpu, None, 1)) == cores()
    assert slots_of(cpu, 3, 2)[2]["OMP_NUM_THREADS"] == "2"
    gpu = OmegaConf.create({"trainer": {"accelerator": "gpu"}})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots_of(gpu, None, 1)] == ["4", "6"]
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots_of(gpu, 3, 1)] == ["4", "6", "4"]
    # As many as there are cores for: more would wait for each other.
    monkeypatch.setattr(launching, "cores", lambda: 8)
    monkeypatch.setattr(launching, "free", lambda most: most)
    monkeypatch.setattr(launching, "allowed", lambda: 8)

    def threads_of(config: DictConfig, jobs: int | None, threads: int | None) -> list[str]:
        return [slot["OMP_NUM_THREADS"] for slot in slots_of(config, jobs, threads)]

    assert threads_of(cpu, None, None) == ["1"] * 8
    assert threads_of(cpu, 3, None) == ["2"] * 3
    assert threads_of(cpu, 20, None) == ["1"] * 20
    assert threads_of(gpu, None, None) == ["4"] * 2
    assert threads_of(cpu, None, 4) == ["4"] * 2
    asked = OmegaConf.create({"trainer": {"accelerator": "cpu", "threads": 4}})
    assert threads_of(asked, None, None) == ["4"] * 2
    assert threads_of(asked, None, 1) == ["1"] * 8
    monkeypatch.setattr(launching, "free", lambda most: 3)  # others use five of the eight
    assert threads_of(cpu, 1, None) == ["3"]
    assert threads_of(cpu, 3, None) == ["1"] * 3
    monkeypatch.setattr(launching, "allowed", lambda: 1)  # OMP_NUM_THREADS=1
    assert threads_of(cpu, 3, None) == ["1"] * 3
    for threads in (0, "two", True):
        with pytest.raises(GanAugError, match=rf"hydra\.launcher\.threads={threads}: must be a"):
            slots_of(cpu, None, threads)  # type: ignore[arg-type]


def test_a_folder_named_by_hydras_dirname_tells_jobs_apart(tmp_path: Path) -> None:
    swept = [[*STUDY, f"draw={i}"] for i in range(2)]
    named = ("hydra.sweep.subdir=${hydra.job.override_dirname}", f"hydra.sweep.dir={tmp_path}")
    exclude = f"hydra.job.config.override_dirname.exclude_keys={[k.split('=')[0] for k in STUDY]}"
    jobs = composer_of(tmp_path, *named, exclude.replace("+", "")).missing(swept, 0)
    assert [job.folder.rpartition("draw=")[2] for job in jobs] == ["0", "1"]


def test_a_setting_that_only_a_running_job_has_is_left_to_the_job(tmp_path: Path) -> None:
    write_run(tmp_path / "draw_0")
    swept = [[*STUDY, "draw=0", "++seed=${hydra:job.num}"]]
    composer = composer_of(tmp_path)
    assert len(composer.missing(swept, 0)) == 1
    _check_data(composer, swept, 0)


def test_data_is_read_for_sound_arms_alone(tmp_path: Path) -> None:
    """What is wrong with arms is known at once, and each draw says it."""
    composer, own = composer_of(tmp_path), ["+study=own", "data.root=gone", "draw=0"]
    _check_data(composer, [[*own, "arms.gan.pretrain=0.0001"]], 0)
    with pytest.raises(GanAugError, match="data.root=gone: no such folder"):
        _check_data(composer, [own], 0)


@pytest.mark.parametrize("folder", ["", "a\0b", "a\x1b", "../x", "/x"])
def test_folders_of_a_foreign_list_are_checked(folder: str, tmp_path: Path) -> None:
    made = submission(tmp_path, [job("ok")])
    path = made.folder / "jobs.json"
    path.write_text(path.read_text().replace('"ok"', json.dumps(folder)))
    with pytest.raises(GanAugError, match=r"jobs\.json: is no list of jobs \(jobs\.0\.folder="):
        Submission.load(made.folder)


def test_a_job_waits_for_no_queue_with_other_settings() -> None:
    queued = {"draw_0": (job("draw_0", "draw=0", "model.lr=1"), "17")}
    sound = [job("draw_0", "model.lr=1", "draw=0"), job("draw_1")]
    _refuse_other_settings(Path("s"), sound, queued)
    message = r"s/draw_0: is in the queue, as part of Slurm's 17, with other settings \(model.lr=1"
    with pytest.raises(GanAugError, match=message):
        _refuse_other_settings(Path("s"), [job("draw_0", "model.lr=2", "draw=0")], queued)


@pytest.mark.parametrize("tasks", [None, [1], {"5": [-1]}, {"5": [True]}, {"5": [1]}])
def test_a_damaged_list_of_tasks_is_named(tasks: Any, tmp_path: Path) -> None:
    made = submission(tmp_path, [job("ok")])
    (made.folder / "slurm.json").write_text(json.dumps({"format": 1, "tasks": tasks}))
    with pytest.raises(GanAugError, match=r"slurm\.json: (is no list of|names jobs that)"):
        _tasks_of(made)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("wait", "maybe"), ("pack", True), ("cpus_per_task", 0), ("timeout_min", -5),
     ("array_parallelism", 0), ("setup", "module"), ("additional_parameters", 3)],
)  # fmt: skip
def test_settings_of_the_cluster_are_checked(setting: str, value: Any) -> None:
    settings: dict[str, Any] = {"wait": True, "pack": 1, "cpus_per_task": 1} | {setting: value}
    own = {key: settings.pop(key) for key in ("wait", "pack", "cpus_per_task")}
    with pytest.raises(GanAugError, match=rf"hydra\.launcher\.{setting}={value}: must be"):
        check(**own, settings=settings)


@pytest.mark.parametrize(
    ("overrides", "empty"),
    [
        (["draw=range(5,0)"], "draw=range(5,0)"),
        (["seed=1", "draw=range(3,3)", "model.lr=1,2"], "draw=range(3,3)"),
        (["model=glob(nothing*)"], "model=glob(nothing*)"),
    ],
)
def test_an_empty_sweep_is_refused(overrides: list[str], empty: str) -> None:
    """It did nothing, and ended with 0."""
    loader, _ = multirun("study", *STUDY)
    with pytest.raises(GanAugError, match=rf"^{re.escape(empty)}: has no values"):
        refuse_empty(overrides, loader)
    refuse_empty([*overrides, empty.split("=")[0] + "=1"], loader)
    refuse_empty(["draw=range(0,5)", "seed=1", "model=glob(*gan)", "data=a,b"], loader)


def test_a_command_with_an_empty_sweep_fails(tmp_path: Path, cache_home: Path) -> None:
    result = run_command(cache_home, "study", "-m", *STUDY, "draw=range(5,0)", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("error: draw=range(5,0): has no values")
    assert not list(tmp_path.iterdir())


def test_the_last_task_writes_a_report_of_new_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[list[str]] = []

    def run(command: list[str], check: bool) -> None:
        begun.append(command)
        (tmp_path / "report.html").touch()

    monkeypatch.setattr(subprocess, "run", run)
    write_run(tmp_path / "draw_0", age=30)

    def after(when: float, *states: str) -> bool:
        """Tell whether a report is written after tasks that ended so, of a submission of two."""
        folder = submit(tmp_path, "draw_0", "draw_1", submitted=when, launcher="slurm")
        for k, state in enumerate(states):
            (folder / f"{k}.ended").write_text(state)
        begun.clear()
        _report_if_last(Submission.load(folder))
        return bool(begun)

    assert not after(1, "failed", "failed")  # there is no result
    (tmp_path / "draw_0" / "metrics.json").touch()
    assert not after(2, "finished")
    assert after(2, "finished", "failed")
    assert begun == [[sys.executable, "-m", "gan_aug.report", f"study_dir={tmp_path}"]]
    for again in (True, True, False):  # an attempt may have met the time limit, but not for ever
        (tmp_path / "report.html").unlink(missing_ok=True)
        assert after(2, "finished", "failed") is again
    assert after(3, "failed", "failed")  # an older draw is in no report yet
    assert not after(4, "finished", "finished")  # another command has written it
