"""Locks: one owner at a time, and the next one when that is gone; on this computer and on others.

An owner elsewhere is known by its file alone, so a file stands for it. The tests tell the time.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from lightning.pytorch import Trainer
from support import TINY_GAN, environment, wait_for

from gan_aug.data.cache import load_or_build
from gan_aug.runtime import lock as module
from gan_aug.runtime.files import replace_file, write_json
from gan_aug.runtime.lock import STALE, Lock, Lost, Owner, check_held, is_held
from gan_aug.runtime.record import wait_until_free
from gan_aug.training.callbacks import Checkpoints, MetricsCSV

FORK = multiprocessing.get_context("fork")


class Clock:
    """The seconds that an observer counts; whoever sleeps lets them pass.

    Attributes:
        now: the time.
        meanwhile: called at each sleep.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.meanwhile: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "monotonic", lambda: made.now)
    monkeypatch.setattr(module, "sleep", made.sleep)
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".lease"


def lock(path: Path) -> Lock:
    return Lock(path, guards=path.parent)


def write_owner(path: Path, place: str = "elsewhere", **others: Any) -> str:
    """Write a lock file; return its token."""
    own = psutil.Process()
    owner = Owner(
        token=os.urandom(16).hex(), host="node7", place="", pid=own.pid, started=own.create_time()
    )
    path.write_text(json.dumps(owner.model_dump() | {"place": place} | others))
    return owner.token


def touch(path: Path, seconds: float = 0) -> None:
    """Touch as an owner does whose clock is wrong by so many seconds."""
    at = time.time_ns() + int(seconds * 1e9)
    os.utime(path, ns=(at, at))


def dead_pid() -> int:
    process = FORK.Process(target=lambda: None)
    process.start()
    process.join()
    assert process.pid is not None
    return process.pid


class Holder:
    """A process of this computer that holds the lock until it is told to end."""

    def __init__(self, path: Path) -> None:
        self.held, self._end = FORK.Event(), FORK.Event()
        self.process = FORK.Process(target=self._hold, args=(path,))
        self.process.start()
        assert self.held.wait(60)
        assert self.process.pid is not None
        self.pid = self.process.pid

    def _hold(self, path: Path) -> None:
        with lock(path):
            self.held.set()
            self._end.wait()

    def end(self) -> None:
        self._end.set()
        self.process.join(60)
        assert self.process.exitcode == 0

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)


@pytest.fixture
def holder(path: Path) -> Iterator[Holder]:
    made = Holder(path)
    yield made
    if made.process.is_alive():
        made.process.kill()
        made.process.join()


# On this computer


def test_a_living_owner_is_left_alone(holder: Holder, path: Path, clock: Clock) -> None:
    """One that is suspended, too, and does not touch its file."""
    mine = lock(path)
    for suspended in (False, True, True):
        if suspended:
            os.kill(holder.pid, signal.SIGSTOP)
            touch(path, -2 * STALE)
        assert not mine.acquire(wait=False)
        assert is_held(path)
        clock.now += STALE
    os.kill(holder.pid, signal.SIGCONT)
    holder.end()
    assert list(path.parent.iterdir()) == []
    assert not is_held(path)
    assert mine.acquire(wait=False)
    assert is_held(path)
    mine.release()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("reaped", [True, False])
def test_kill_9_is_known_at_once(holder: Holder, path: Path, reaped: bool, clock: Clock) -> None:
    holder.kill()
    if reaped:
        holder.process.join()
    assert not is_held(path)
    mine = lock(path)
    assert mine.acquire(wait=False)
    assert clock.now == 1000, "waited"
    mine.release()
    assert list(path.parent.iterdir()) == []


def test_a_fork_does_not_give_the_lock_back(path: Path) -> None:
    mine = lock(path)
    mine.acquire()
    child = FORK.Process(target=mine.release)
    child.start()
    child.join()
    mine.check()
    assert not lock(path).acquire(wait=False)
    mine.release()


def test_a_process_that_forgets_its_lock_ends_all_the_same(path: Path) -> None:
    code = "from pathlib import Path; from gan_aug.runtime.lock import Lock\n"
    code += f"p = Path({str(path)!r}); "
    code += "held = Lock(p, p.parent); held.acquire()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert path.exists()
    assert not is_held(path)
    mine = lock(path)
    assert mine.acquire(wait=False)
    mine.release()


# On another computer


@pytest.mark.parametrize("ahead", [0, -3600, 3600])
def test_an_owner_elsewhere_lives_while_it_touches(path: Path, clock: Clock, ahead: float) -> None:
    """Whatever its clock says."""
    write_owner(path)
    due = [0.0]

    def touches() -> None:
        if clock.now >= due[0]:
            due[0] = clock.now + STALE / module._TOUCHES
            touch(path, ahead)

    clock.meanwhile = touches
    mine = lock(path)
    while clock.now < 1000 + 4 * STALE:
        assert not mine.acquire(wait=False)
    clock.meanwhile = lambda: None
    died = clock.now
    assert mine.acquire(wait=False)
    assert STALE - 10 < clock.now - died < STALE + 1
    mine.release()


STRANGE = (b"", b"{", b"[]", b'{"token": "../../x"}', b"\xff" * 9000, b"[" * 4096)


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("what", ["a node that died", "another of its number", *STRANGE])
def test_an_owner_that_does_not_touch_is_gone_after_its_time(
    path: Path, what: str | bytes, wait: bool, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its number was given again, or the file is forged, or it was killed before it wrote one."""
    if isinstance(what, bytes):
        path.write_bytes(what)
    elif what == "a node that died":
        write_owner(path)
    else:
        write_owner(path, module._place(), started=1.0)
    who = "an unknown process" if isinstance(what, bytes) else f"process {os.getpid()} on node7"
    mine = lock(path)
    assert mine.acquire(wait)
    assert STALE <= clock.now - 1000 < STALE + 1
    (line,) = capsys.readouterr().out.splitlines()
    assert f"in use by {who}" in line
    mine.release()
    assert list(path.parent.iterdir()) == []


def test_status_is_told_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_owner(path)
    assert is_held(path)
    touch(path, -1.3 * STALE)
    assert not is_held(path)
    assert not is_held(path.parent / "nowhere" / ".lease")

    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr(module.tempfile, "TemporaryFile", refuse)
    assert is_held(path), "where one may not write it counts as alive"


def test_a_long_gap_between_two_looks_is_no_death(path: Path, clock: Clock) -> None:
    """The file server was away, for the owner too, or the contender was suspended."""
    write_owner(path)
    gaps = []

    def gap() -> None:
        clock.now += 1000
        gaps.append(1)
        if len(gaps) % 20 == 0:
            touch(path)

    clock.meanwhile = gap
    assert not lock(path).acquire(wait=False)
    assert len(gaps) == 20


def test_whoever_was_taken_for_dead_writes_no_more(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "_place", lambda: "elsewhere")
        slow = lock(path)
        slow.acquire()
    write_json(path.parent / "a.json", "slow")
    mine = lock(path)
    assert mine.acquire(wait=False)  # after its time: the slow one touches every nine real seconds
    with pytest.raises(Lost, match="this process stood still for more than 45 s"):
        write_json(path.parent / "a.json", "late")
    slow.release()
    assert path.exists(), "it gave away what is another's"
    write_json(path.parent / "a.json", "mine")
    mine.release()


# Taking over


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
def test_many_take_a_dead_owner_s_lock_one_by_one(
    path: Path, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = path.with_name("inside")
    monkeypatch.setattr(module, "POLL", 0.01)
    monkeypatch.setattr(module, "STALE", 1.0)
    write_owner(path, "elsewhere" if elsewhere else module._place(), pid=dead_pid())

    def contend() -> None:
        if elsewhere:
            module._place = lambda: f"of {os.getpid()}"  # type: ignore[assignment]
        held = lock(path)
        for _ in range(5):
            held.acquire()
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            time.sleep(0.005)
            inside.unlink()
            held.release()

    contenders = [FORK.Process(target=contend) for _ in range(6)]
    for process in contenders:
        process.start()
    for process in contenders:
        process.join(120)
    assert [process.exitcode for process in contenders] == [0] * 6
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("place", ["elsewhere", "here"])
def test_a_slow_contender_succeeds_nobody_but_the_dead(
    path: Path, place: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its verdict and its deed another takes over."""
    write_owner(path, module._place() if place == "here" else place, pid=dead_pid())
    mine, other = lock(path), lock(path)
    verdict = mine._is_gone
    done: list[bool] = []

    def slow(where: Path, seen: Any) -> bool:
        gone = verdict(where, seen)
        if gone and not done:
            done.append(other.acquire())
        return gone

    monkeypatch.setattr(mine, "_is_gone", slow)
    assert not mine.acquire(wait=False)
    assert json.loads(path.read_text())["token"] == other._token
    assert list(path.parent.iterdir()) == [path]
    other.release()


@pytest.mark.parametrize("place", ["elsewhere", "here"])
def test_successors_that_died_on_the_way(path: Path, place: str, clock: Clock) -> None:
    """Killed between the two steps of taking over; so was the one who was to succeed it."""
    where = path
    for _ in range(3):
        token = write_owner(where, module._place() if place == "here" else place, pid=dead_pid())
        where = where.with_name(f"{where.name}.{token}")
    mine = lock(path)
    assert mine.acquire(wait=False)
    assert list(path.parent.iterdir()) == [path]
    mine.release()


def test_processes_build_a_cache_entry_once(tmp_path: Path) -> None:
    def build() -> tuple[Any, dict[str, Any]]:
        with (tmp_path / "built").open("a") as file:
            file.write("once\n")
        time.sleep(0.3)
        return np.zeros((2, 1, 8, 8), np.uint8), {}

    def load() -> None:
        images, _ = load_or_build(tmp_path / "cache", {"a": 1}, build)
        assert images.shape == (2, 1, 8, 8)

    processes = [FORK.Process(target=load) for _ in range(5)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 5
    assert (tmp_path / "built").read_text() == "once\n"
    assert [p.is_dir() for p in (tmp_path / "cache").iterdir()] == [True]


# What is written by who has lost it


def test_a_removed_lock_is_noticed(path: Path) -> None:
    mine = lock(path)
    mine.acquire()
    check_held(path.parent / "a")
    path.unlink()
    check_held(path.parents[1] / "a")  # nothing that this lock guards
    with pytest.raises(Lost):
        check_held(path.parent / "a")
    other = lock(path)
    assert other.acquire(wait=False)
    mine.release()
    assert path.exists()
    other.release()


def test_a_file_that_was_being_written(path: Path) -> None:
    """Suspended in the middle of it: what the other has written since is kept."""
    target = path.parent / "a.txt"
    mine, other = lock(path), lock(path)
    mine.acquire()

    def write(temporary: Path) -> None:
        path.unlink()
        other.acquire()
        target.write_text("other's")
        temporary.write_text("mine")

    with pytest.raises(Lost):
        replace_file(target, write)
    assert target.read_text() == "other's"
    other.release()
    with pytest.raises(Lost):
        replace_file(target, lambda temporary: pytest.fail("was written"))
    mine.release()


def test_a_log_that_another_has_begun(path: Path) -> None:
    """Rows of who was suspended would stand between the other's."""
    mine, other = lock(path), lock(path)
    mine.acquire()
    log = MetricsCSV(path.with_name("metrics.csv"), 0)
    log.log_metrics({"loss": 0.5}, 1)
    path.unlink()
    other.acquire()
    with pytest.raises(Lost):
        log.log_metrics({"loss": 0.4}, 2)
    assert path.with_name("metrics.csv").read_text().splitlines()[1:] == ["1,loss,0.5"]
    mine.release()
    other.release()


def test_a_checkpoint_that_was_being_written(path: Path) -> None:
    """Suspended over it: the other's last and previous one are kept."""
    mine, other = lock(path), lock(path)
    mine.acquire()
    others = {path.with_name(name): f"other's {name}" for name in ("last.ckpt", "previous.ckpt")}

    class Saving(Trainer):
        loggers = ()  # type: ignore[assignment]

        def save_checkpoint(self, filepath: Any, *arguments: Any, **named: Any) -> None:
            path.unlink()
            other.acquire()
            for file, content in others.items():
                file.write_text(content)
            Path(filepath).write_text("mine")

    saved: list[str] = []
    checkpoints = Checkpoints(path.parent, 0, {}, lambda: saved.append("mine"))
    with pytest.raises(Lost):
        checkpoints._save_last(Saving(accelerator="cpu", logger=False))
    assert {file: file.read_text() for file in others} == others
    assert saved == []
    other.release()
    mine.release()


def test_a_server_that_does_not_answer_for_a_while(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = lock(path)
    mine.acquire()

    def fails(*arguments: Any) -> Any:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(module, "look", fails)
        mine.check()
        clock.now += STALE + 1
        with pytest.raises(Lost):
            mine.check()
    mine.release()


@pytest.mark.slow
def test_a_command_that_was_suspended_stops_with_a_line(
    tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    arguments = [
        "train", *TINY_GAN, "callbacks.checkpoint.every_n_seconds=0", "trainer.max_epochs=500",
        f"hydra.run.dir={folder}",
    ]  # fmt: skip
    code = f"""
import os, runpy, signal, sys
from gan_aug.runtime import lock
from gan_aug.training.callbacks import Checkpoints
lock._place = lambda: 'elsewhere'
save = Checkpoints._save_last
def save_and_stop(self, trainer):
    save(self, trainer)
    if self.last.with_name("previous.ckpt").exists():
        os.kill(os.getpid(), signal.SIGSTOP)
Checkpoints._save_last = save_and_stop
lock.STALE = 1.5
sys.argv = {arguments!r}
runpy.run_module('gan_aug.train', run_name='__main__', alter_sys=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(cache_home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )

    def files() -> dict[str, str]:
        found = [folder / "run.json", *(folder / "checkpoints").iterdir(), *folder.glob("*.csv")]
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in found}

    try:
        wait_for(process, folder, "checkpoints/previous.ckpt")
        stop = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert stop is not None
        assert stop.si_code == os.CLD_STOPPED
        monkeypatch.setattr(module, "STALE", 1.5)
        mine = lock(folder / ".lease")
        assert mine.acquire(wait=False)
        before = files()
        process.send_signal(signal.SIGCONT)
        errors = process.communicate(timeout=60)[1].splitlines()
    finally:
        process.kill()
    assert process.returncode == 1
    assert errors[-1].startswith(f"error: {folder}: this process stood still")
    assert "Traceback" not in "".join(errors)
    assert files() == before
    mine.release()


# Files of anyone, and what is said


@pytest.mark.parametrize("place", ["elsewhere", "here"])
def test_to_look_leaves_no_trace(path: Path, place: str) -> None:
    write_owner(path, module._place() if place == "here" else place)
    before = path.parent.stat().st_mtime_ns, path.stat().st_ino
    for _ in range(20):
        assert is_held(path)
    assert (path.parent.stat().st_mtime_ns, path.stat().st_ino) == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("key", ["token", "host", "place", "pid", "started"])
def test_a_file_that_says_something_odd(path: Path, key: str, clock: Clock) -> None:
    for value in ("../x", -1, 2**70, None, [], True, float("nan"), float("inf")):
        write_owner(path, **({"place": module._place()} | {key: value}))
        assert is_held(path) in (True, False)
        path.unlink()


@pytest.mark.parametrize("what", ["folder", "fifo", "link"])
def test_something_else_in_its_place(path: Path, what: str) -> None:
    if what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("elsewhere")
    with pytest.raises(OSError, match=r"Is a directory|no regular file|symbolic links"):
        lock(path).acquire()
    assert not is_held(path)


def test_what_is_waited_for_is_said(
    path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = (
        f"{path.parent}: in use by process {os.getpid()} on node7; waiting for it to end; to end "
        f"it, stop that process; if it is none of gan_aug, remove {path}\n"
    )
    write_owner(path, module._place())

    def ends() -> None:
        if clock.now > 1000 + 2 * STALE:
            path.unlink(missing_ok=True)

    clock.meanwhile = ends
    with lock(path):
        assert capsys.readouterr().out == expected


def test_a_run_whose_folder_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    """Who waits for another process's draw writes a report of the others."""
    wait_until_free(tmp_path / "draw_0")
    assert not list(tmp_path.iterdir())
