"""What people see of jobs, and the exit code."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from job_files import LONG_AGO, submit, work_in, write_progress, write_run
from rich.console import Console

from gan_aug.jobs.follow import Follower
from gan_aug.jobs.show import ROWS, exit_code, line, page, show, watching
from gan_aug.jobs.submission import Submission


def shown(root: Path, rows: int = ROWS, width: int = 200) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(page(Follower(root).look(), rows))
    return out.getvalue()


def row(text: str, job: str) -> list[str]:
    (found,) = (line for line in text.splitlines() if line.startswith(f"│ {job} "))
    return [cell.strip() for cell in found.strip("│").split("│")]


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """One job in each state."""
    folder = tmp_path / "s"
    jobs = submit(folder, *(f"draw_{i}" for i in range(6)))
    write_run(folder / "draw_0", "finished", seconds=1500)
    write_run(folder / "draw_1", "running")
    work_in(folder / "draw_1")
    write_progress(folder / "draw_1")
    write_run(folder / "draw_2", "failed", reason="training [kid] diverged\x1b[2J")
    (jobs / "2.log").write_text("error")
    write_run(folder / "draw_3", "interrupted", reason="time limit")
    write_run(folder / "draw_4", "running")
    return folder


def test_a_table_has_all_there_is_to_know(sweep: Path) -> None:
    text = shown(sweep)
    stage, done, speed, left, where = row(text, "draw_1")[3:8]
    assert (stage, done) == ("1/16 GAN of pneumonia", "400/1500 batches, 26 %")
    assert (speed, left) == ("250", "5 min")
    assert where
    assert row(text, "draw_0")[1:3] == ["done", "25 min"]
    # As it is written: rich would take [kid] for a style, a terminal would obey ESC.
    (log,) = sweep.glob(".jobs/*/2.log")
    assert f"draw_2: failed, training [kid] diverged\\x1b[2J; its output: {log}\n" in text
    assert "draw_3: stopped, time limit\n" in text
    assert "draw_4: killed, its process is gone; repeat the command to go on\n" in text
    assert row(text, "draw_3")[1] == "stopped"
    assert row(text, "draw_4")[1] == "killed"
    assert row(text, "draw_5")[1] == "waiting"
    assert "6 jobs: 1 waiting, 1 running, 1 done, 1 failed, 1 stopped, 1 killed" in text


def test_a_line_for_a_log(sweep: Path) -> None:
    write_run(sweep / "draw_1", "running", seconds=600)
    assert (sweep / "draw_1" / ".lease").exists()
    (found,) = Follower(sweep).look()
    assert line(found) == (
        f"{sweep}: 6 jobs: 1 waiting, 1 running, 1 done, 1 failed, 1 stopped, 1 killed; "
        "about 40 min left (a job takes 25 min, the median)"
    )
    submit(sweep, "draw_0", "draw_1")  # none waits
    write_run(sweep / "draw_1", "running", seconds=3000)
    (found,) = Follower(sweep).look()
    assert "; longer than usual (a job takes 25 min, the median)" in line(found)


def test_a_job_that_is_refused_now_is_not_told_as_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It gets its old record back; one that is done once more has taken longer."""
    write_run(tmp_path / "draw_0", seconds=60)
    write_run(tmp_path / "draw_1", seconds=60)
    submission = Submission.load(submit(tmp_path, "draw_0", "draw_1"))
    with watching(tmp_path, submission.jobs) as tell:
        for status, seconds in (("running", (60, 60)), ("finished", (60, 120))):
            for k in (0, 1):
                write_run(tmp_path / f"draw_{k}", status, seconds=seconds[k])
                work_in(tmp_path / f"draw_{k}")
            tell()
    told = [said.split(" (")[0] for said in capsys.readouterr().out.splitlines()]
    assert told == ["draw_0: running", "draw_1: running", "draw_1: done after 2 min"]


def test_exit_codes(tmp_path: Path) -> None:
    def code() -> int:
        return exit_code(Follower(tmp_path).look())

    write_run(tmp_path / "draw_0")
    assert code() == 0
    for status in ("failed", "interrupted", "running"):  # the last was killed
        write_run(tmp_path / "draw_1", status)
        assert code() == 1
    submit(tmp_path, "draw_2")
    assert code() == 3, "one waits"
    write_run(tmp_path / "draw_2", "running")
    lease = work_in(tmp_path / "draw_2")
    assert code() == 3, "one runs"
    lease.unlink()
    write_run(tmp_path / "draw_2")
    assert code() == 1
    write_run(tmp_path / "draw_1")
    assert code() == 0


def test_of_thousands_those_that_run_or_failed_are_shown(tmp_path: Path) -> None:
    submit(tmp_path, *(f"draw_{i}" for i in range(200)))
    for i in range(100):
        write_run(tmp_path / f"draw_{i}", "finished" if i < 50 else "failed", seconds=0.0)
    for i in (198, 199):
        write_run(tmp_path / f"draw_{i}", "running")
        work_in(tmp_path / f"draw_{i}")
    text = shown(tmp_path)
    assert row(text, "draw_198")[1] == row(text, "draw_199")[1] == "running"
    assert text.count("│ failed ") == ROWS - 2
    assert "200 jobs: 98 waiting, 2 running, 50 done, 50 failed; 160 of them are not" in text
    for i in range(50, 90):
        write_run(tmp_path / f"draw_{i}", "running")
        work_in(tmp_path / f"draw_{i}")
    text = shown(tmp_path, rows=10)
    assert text.count("│ failed ") == text.count("│ running ") == 5


def test_of_many_multiruns_finished_ones_are_a_line(sweep: Path) -> None:
    for i in range(3):
        write_run(sweep.parent / "other" / f"draw_{i}")
    text = shown(sweep.parent)
    assert f"{sweep.parent / 'other'}: 3 jobs: 3 done\n" in text
    assert row(text, "draw_1")[1] == "running"
    (sweep.parent / "other" / "draw_1" / "run.json").write_text("?")
    text = shown(sweep.parent, width=400)
    assert f"{sweep.parent / 'other' / 'draw_1' / 'run.json'}: cannot be read" in text


def test_numbered_jobs_are_told_apart_by_their_settings(tmp_path: Path) -> None:
    for i, lr in enumerate(("1e-4", "2e-4")):
        write_run(
            tmp_path / str(i), config={}, overrides=["+experiment=x", f"model.lr_g={lr}"]
        )  # fmt: skip
    assert row(shown(tmp_path), "1 model.lr_g=2e-4")[1] == "done"


def test_a_terminal_is_refreshed_until_all_is_done(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends it too."""
    monkeypatch.setattr("gan_aug.jobs.show.console", lambda **k: Console(force_terminal=True))
    waits = []

    def finish(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt
        for i in range(1, 5 + len(waits)):
            write_run(sweep / f"draw_{i}")

    monkeypatch.setattr("time.sleep", finish)
    assert exit_code(show(Follower(sweep), 7)) == 0  # draw_5 is done at the second look
    assert waits == [7]
    write_run(sweep / "draw_6", "failed")
    submit(sweep, "draw_7", submitted=LONG_AGO + 9)
    assert exit_code(show(Follower(sweep), 7)) == 3  # the third wait is cut short
    assert len(waits) == 3


def test_what_cannot_be_read_is_not_all_done(tmp_path: Path) -> None:
    jobs = submit(tmp_path, "draw_0")
    (jobs / "jobs.json").write_text("{")
    assert exit_code(Follower(tmp_path).look()) == 1
