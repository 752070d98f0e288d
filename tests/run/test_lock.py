"""Locks: one owner at a time, and the next one when that is gone; on this computer and on others.

A process on another computer is one of this computer that takes its kernel for another: of each
other they then know only what is in the file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer
from support import TINY_GAN, environment, wait_for

from gan_aug.run import lock as module
from gan_aug.run import lock_file
from gan_aug.run.files import replace_file, write_json
from gan_aug.run.lock import Lock, Lost, check_held, is_held
from gan_aug.training.callbacks import Checkpoints

HERE = ""
ELSEWHERE = "lock_file._kernel = lambda: f'of process {os.getpid()}'"
NO_FLOCK = "lock_file.fcntl.flock = lambda *arguments: None"
OTHER_CONTAINER = "lock_file._processes = lambda: 1"
NAMES = {
    HERE: "here",
    NO_FLOCK: "here-no_flock",
    OTHER_CONTAINER: "container",
    f"{NO_FLOCK}; {OTHER_CONTAINER}": "container-no_flock",
    ELSEWHERE: "elsewhere",
    f"{NO_FLOCK}; {ELSEWHERE}": "elsewhere-no_flock",
}
WORLDS = pytest.mark.parametrize(
    "world", [HERE, NO_FLOCK, ELSEWHERE, f"{NO_FLOCK}; {ELSEWHERE}"], ids=NAMES.get
)
PRELUDE = """
import os, sys, time
from pathlib import Path
from gan_aug.run import lock, lock_file
from gan_aug.run.files import write_json
{world}
path = Path({path!r})
held = lock.Lock(path, guards=path.parent, stale={stale})
"""
HOLD = "held.acquire(); print('held', flush=True); sys.stdin.read(); held.release()"
STALE = 1.5


class Python(subprocess.Popen[str]):
    """A process with `held`, a lock that it may take."""

    def __init__(self, path: Path, code: str, world: str = HERE, stale: float = STALE) -> None:
        prelude = PRELUDE.format(world=world, path=str(path), stale=stale)
        pipe = subprocess.PIPE
        super().__init__(
            [sys.executable, "-c", prelude + code], stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )

    def hears(self, line: str) -> None:
        assert self.stdout is not None
        assert any(heard == f"{line}\n" for heard in self.stdout), self.communicate()[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".lease"


@pytest.fixture
def holder(path: Path, request: pytest.FixtureRequest) -> Iterator[Python]:
    """A process that holds the lock until its input ends; the parameter is its world."""
    process = Python(path, HOLD, getattr(request, "param", HERE))
    process.hears("held")
    yield process
    process.kill()
    process.communicate()


def worlds(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("holder", names, indirect=True, ids=NAMES.get)


def lock(path: Path, stale: float = STALE) -> Lock:
    return Lock(path, guards=path.parent, stale=stale)


def wait_until_stopped(process: subprocess.Popen[str]) -> None:
    stop = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert stop is not None
    assert stop.si_code == os.CLD_STOPPED, process.communicate()[1]


def suspend(process: subprocess.Popen[str], folder: Path) -> None:
    """Suspend a process, but not between its last look at the lock and the rename after it."""
    while True:
        process.send_signal(signal.SIGSTOP)
        wait_until_stopped(process)
        if not list(folder.rglob(".*.tmp")):
            return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.003)


def kill(process: Python) -> None:
    process.kill()
    process.communicate()


def seconds(started: float) -> float:
    return time.monotonic() - started


@worlds(HERE, NO_FLOCK, ELSEWHERE, OTHER_CONTAINER, f"{NO_FLOCK}; {OTHER_CONTAINER}")
def test_a_living_owner_is_left_alone(holder: Python, path: Path) -> None:
    mine = lock(path)
    started = time.monotonic()
    while seconds(started) < 2 * STALE:
        assert not mine.acquire(wait=False)
        assert is_held(path, STALE)
    holder.communicate("")
    assert holder.returncode == 0
    assert list(path.parent.iterdir()) == []
    assert not is_held(path)
    assert mine.acquire(wait=False)
    assert is_held(path)
    mine.release()
    assert list(path.parent.iterdir()) == []


@worlds(HERE, NO_FLOCK, OTHER_CONTAINER)
@pytest.mark.parametrize("reaped", [True, False])
def test_kill_9_on_this_computer_is_known_at_once(holder: Python, path: Path, reaped: bool) -> None:
    holder.kill()
    if reaped:
        holder.communicate()
    else:
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
    started = time.monotonic()
    assert not is_held(path)
    mine = lock(path, stale=45)
    assert mine.acquire(wait=False)
    assert seconds(started) < 20  # a slow disk's, not the 45
    mine.release()
    assert list(path.parent.iterdir()) == []


@worlds(HERE, NO_FLOCK)
def test_an_owner_suspended_on_this_computer_keeps_it(holder: Python, path: Path) -> None:
    holder.send_signal(signal.SIGSTOP)
    time.sleep(2 * STALE)
    assert not lock(path).acquire(wait=False)
    assert is_held(path, STALE)
    holder.send_signal(signal.SIGCONT)
    holder.communicate("")
    assert holder.returncode == 0


@worlds(ELSEWHERE, f"{NO_FLOCK}; {OTHER_CONTAINER}")
@pytest.mark.parametrize("wait", [True, False])
def test_a_node_that_died(
    holder: Python, path: Path, wait: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    kill(holder)
    started = time.monotonic()
    assert is_held(path, STALE)
    mine = lock(path)
    assert mine.acquire(wait)
    assert STALE - 0.1 < seconds(started) < 8 * STALE
    (line,) = capsys.readouterr().out.splitlines()
    assert f"in use by process {holder.pid} on " in line
    mine.release()
    assert list(path.parent.iterdir()) == []


@worlds(ELSEWHERE)
def test_status_of_a_dead_node_is_told_at_once(holder: Python, path: Path) -> None:
    kill(holder)
    time.sleep(1.3 * STALE)
    started = time.monotonic()
    assert not is_held(path, STALE)
    assert seconds(started) < STALE / 2  # it does not watch for a heartbeat


@worlds(ELSEWHERE)
def test_whoever_was_suspended_on_another_computer_stops(holder: Python, path: Path) -> None:
    code = """
held.acquire()
print('held', flush=True)
try:
    while True:
        write_json(path.parent / 'a.json', os.getpid())
        time.sleep(0.01)
except lock.Lost as error:
    print(error, flush=True)
held.release()
"""
    kill(holder)
    path.unlink()
    writer = Python(path, code, ELSEWHERE)
    writer.hears("held")
    wait_for(writer, path.parent, "a.json")
    suspend(writer, path.parent)
    mine = lock(path)
    assert mine.acquire(wait=False)
    write_json(path.parent / "a.json", "mine")
    writer.send_signal(signal.SIGCONT)
    (line,) = writer.communicate()[0].splitlines()
    assert line.startswith(f"{path.parent}: this process stood still for more than 1.5 s")
    assert json.loads((path.parent / "a.json").read_text()) == "mine"
    mine.check()
    mine.release()


def test_a_command_that_was_suspended_stops_with_a_line(tmp_path: Path, cache_home: Path) -> None:
    folder = tmp_path / "run"
    arguments = [
        "train", *TINY_GAN, "callbacks.checkpoint.every_n_seconds=0", "trainer.max_epochs=500",
        f"hydra.run.dir={folder}",
    ]  # fmt: skip
    code = f"""
import os, runpy, signal, sys
from gan_aug.run import lock, lock_file
from gan_aug.training.callbacks import Checkpoints
{ELSEWHERE}
save = Checkpoints._save_last
def save_and_stop(self, trainer):
    save(self, trainer)
    if self.last.with_name("previous.ckpt").exists():
        os.kill(os.getpid(), signal.SIGSTOP)
Checkpoints._save_last = save_and_stop
lock.Lock.__init__.__defaults__ = ({STALE},)
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
        wait_until_stopped(process)
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
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = lock(path, stale=0.5)
    mine.acquire()

    def fails(*arguments: Any, **named: Any) -> Any:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(module, "look", fails)
        mine.check()
        time.sleep(0.7)
        with pytest.raises(Lost):
            mine.check()
    mine.release()


@pytest.mark.parametrize("hours", [-1, 1])
def test_clocks_that_are_apart(path: Path, hours: int) -> None:
    """The owner's touches carry the time of a clock that is wrong."""
    touch = f"""
lock.os.utime = (
    lambda fd, touch=os.utime: touch(fd, ns=(0, time.time_ns() + {hours * 3600 * 10**9}))
)
"""
    holder = Python(path, touch + HOLD, ELSEWHERE)
    holder.hears("held")
    mine = lock(path)
    started = time.monotonic()
    while seconds(started) < 2 * STALE:
        assert not mine.acquire(wait=False)
    kill(holder)
    started = time.monotonic()
    assert mine.acquire(wait=False)
    assert STALE - 0.4 < seconds(started) < 8 * STALE
    mine.release()


@worlds(ELSEWHERE)
def test_the_contender_s_clock_set_back_or_forward(
    holder: Python, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time_ns
    for days in (-1, 1):
        shifted = lambda days=days: real() + days * 86400 * 10**9  # noqa: E731
        monkeypatch.setattr(time, "time_ns", shifted)
        monkeypatch.setattr(time, "time", lambda shifted=shifted: shifted() / 1e9)
        assert not lock(path).acquire(wait=False)
        assert is_held(path, STALE)


@worlds(ELSEWHERE)
def test_a_long_gap_between_two_looks_is_no_death(
    holder: Python, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file server was away, for the owner too, or the contender was suspended."""
    real, jump = time.monotonic, 0.0

    def sleep_long(seconds: float, sleep: Any = time.sleep) -> None:
        nonlocal jump
        jump += 1000
        sleep(seconds)

    with monkeypatch.context() as patch:
        patch.setattr(module.time, "monotonic", lambda: real() + jump)
        patch.setattr(module.time, "sleep", sleep_long)
        # Ten of its touches fit in, even where each gap counts for the longest.
        assert not lock(path, stale=10 * STALE).acquire(wait=False)
    assert jump > 0


@WORLDS
@pytest.mark.parametrize("killed", [HERE, ELSEWHERE], ids=NAMES.get)
def test_many_take_a_dead_owner_s_lock_one_by_one(path: Path, world: str, killed: str) -> None:
    dead = Python(path, HOLD, killed)
    dead.hears("held")
    kill(dead)
    inside = path.with_name("inside")
    code = f"""
for _ in range(5):
    held.acquire()
    os.close(os.open({str(inside)!r}, os.O_CREAT | os.O_EXCL))
    time.sleep(0.005)
    os.unlink({str(inside)!r})
    held.release()
"""
    contenders = [Python(path, code, world) for _ in range(8)]
    for process in contenders:
        errors = process.communicate(timeout=60)[1]
        assert process.returncode == 0, errors
    assert list(path.parent.iterdir()) == []


@worlds(HERE, ELSEWHERE)
def test_a_slow_contender_succeeds_nobody_but_the_dead(
    holder: Python, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its verdict and its deed another takes over."""
    kill(holder)
    mine = lock(path)
    verdict, others = mine._is_gone, []

    def slow(where: Path, seen: Any) -> bool:
        gone = verdict(where, seen)
        if gone and not others:
            others.append(Python(path, HOLD))
            others[0].hears("held")
        return gone

    monkeypatch.setattr(mine, "_is_gone", slow)
    assert not mine.acquire(wait=False)
    assert json.loads(path.read_text())["pid"] == others[0].pid
    assert list(path.parent.iterdir()) == [path]
    others[0].communicate("")
    assert others[0].returncode == 0


@worlds(HERE, ELSEWHERE)
def test_a_successor_that_died_on_the_way(holder: Python, path: Path) -> None:
    """Killed between the two steps of taking over; so was the one who was to succeed it."""
    for _ in range(2):
        kill(holder)
        names = sorted(path.parent.iterdir(), key=lambda p: len(p.name))
        tenure = json.loads(names[-1].read_text())["token"]
        holder = Python(names[-1].with_name(f"{names[-1].name}.{tenure}"), HOLD)
        holder.hears("held")
    kill(holder)
    mine = lock(path)
    assert mine.acquire(wait=False)
    assert list(path.parent.iterdir()) == [path]
    mine.release()


@WORLDS
def test_eight_processes_build_a_cache_entry_once(tmp_path: Path, world: str) -> None:
    code = f"""
import numpy as np
from gan_aug.data.cache import load_or_build
def build():
    with open({str(tmp_path / "built")!r}, 'a') as file:
        file.write('once\\n')
    time.sleep(0.5)
    return np.zeros((2, 1, 8, 8), np.uint8), {{}}
images, _ = load_or_build(Path({str(tmp_path / "cache")!r}), {{'a': 1}}, build)
print(images.shape)
"""
    processes = [Python(tmp_path / "x", code, world) for _ in range(8)]
    for process in processes:
        output, errors = process.communicate(timeout=60)
        assert output == "(2, 1, 8, 8)\n", errors
    assert (tmp_path / "built").read_text() == "once\n"
    assert [p.is_dir() for p in (tmp_path / "cache").iterdir()] == [True]


@worlds(HERE, ELSEWHERE)
def test_to_look_leaves_no_trace(holder: Python, path: Path) -> None:
    before = path.parent.stat().st_mtime_ns, path.stat().st_ino
    for _ in range(20):
        assert is_held(path, STALE)
    assert (path.parent.stat().st_mtime_ns, path.stat().st_ino) == before
    assert [p.name for p in path.parent.iterdir()] == [".lease"]
    assert not is_held(path.parent / "nowhere" / ".lease")


@worlds(ELSEWHERE)
def test_to_look_where_one_may_not_write(
    holder: Python, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr(module.tempfile, "TemporaryFile", refuse)
    assert is_held(path, STALE)


@worlds(HERE)
def test_two_that_look_do_not_take_each_other_for_the_owner(holder: Python, path: Path) -> None:
    kill(holder)
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert not is_held(path)
        assert lock(path).acquire(wait=False)


@pytest.mark.parametrize("looks", [5, 200])
def test_a_look_at_a_file_that_is_just_made(
    path: Path, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    """Its owner waits a moment for its flock, and says that it has none if that was in vain."""
    real, left = fcntl.flock, looks

    def looked_at(fd: int, how: int) -> None:
        nonlocal left
        left -= 1
        if left > 0:
            raise BlockingIOError
        real(fd, how)

    with monkeypatch.context() as patch:
        patch.setattr(lock_file.fcntl, "flock", looked_at)
        mine = lock(path)
        mine.acquire()
    assert json.loads(path.read_text())["flock"] is (looks == 5)
    assert not lock(path).acquire(wait=False)
    mine.release()


def test_to_look_all_the_time_disturbs_nobody(path: Path) -> None:
    code = """
for _ in range(100):
    assert held.acquire(wait=False)
    assert '"flock": true' in path.read_text()
    held.release()
"""
    process = Python(path, code, stale=45)
    looks = []
    while process.poll() is None:
        looks.append(is_held(path))
    assert process.returncode == 0, process.communicate()[1]
    assert {True, False} <= set(looks)


@worlds(HERE, ELSEWHERE)
def test_to_wait_takes_nothing(holder: Python, path: Path) -> None:
    waiter = Python(path, "print('waits', flush=True); held.wait_until_free()")
    waiter.hears("waits")
    time.sleep(0.5)
    assert waiter.poll() is None
    holder.communicate("")
    waiter.communicate(timeout=10)
    assert waiter.returncode == 0
    assert not path.exists()


def test_a_fork_does_not_give_the_lock_back(path: Path) -> None:
    mine = lock(path)
    mine.acquire()
    child = os.fork()
    if child == 0:
        mine.release()
        os._exit(0)
    os.waitpid(child, 0)
    mine.check()
    assert not lock(path).acquire(wait=False)
    mine.release()


def test_a_process_that_forgets_its_lock_ends_all_the_same(path: Path) -> None:
    process = Python(path, "held.acquire()", stale=45)
    process.communicate(timeout=10)
    assert process.returncode == 0
    assert not is_held(path)
    mine = lock(path)
    assert mine.acquire(wait=False)
    mine.release()


STRANGE = [b"", b"{", b"[]", b'{"token": "../../x"}', b"\xff" * 9000, b"[" * 4096]


@pytest.mark.parametrize("content", STRANGE)
def test_a_file_that_says_nothing(path: Path, content: bytes) -> None:
    """Its owner was killed before it could; or it is somebody else's."""
    path.write_bytes(content)
    started = time.monotonic()
    mine = lock(path, stale=0.5)
    assert mine.acquire(wait=False)
    assert seconds(started) > 0.4
    mine.release()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("key", ["token", "pid", "kernel", "device"])
@worlds(HERE)
def test_a_file_that_says_something_odd(holder: Python, path: Path, key: str) -> None:
    content = json.loads(path.read_text())
    for value in ("../x", -1, 2**70, None, [], True):
        path.write_text(json.dumps(content | {key: value}))
        assert is_held(path, STALE) in (True, False)


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


def forged(path: Path, pid: int, **others: object) -> None:
    """A lock file that names a living process of this computer, which knows nothing of it."""
    owner = lock_file.Owner(
        token="0" * 32,
        host="h",
        pid=pid,
        started=lock_file._started(pid),
        kernel=lock_file._kernel(),
        processes=lock_file._processes(),
        device=0,
        flock=False,
    )
    path.write_text(json.dumps(vars(owner) | others))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux tells")
@pytest.mark.parametrize("others", [{}, {"started": 1}], ids=["alive", "another start"])
def test_a_process_that_does_not_hold_it_is_not_waited_for(
    path: Path, others: dict[str, object]
) -> None:
    """Such as process 1: it lives as long as the computer."""
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        forged(path, sleeper.pid, **others)
        assert not is_held(path)
        started = time.monotonic()
        mine = lock(path, stale=60)
        assert mine.acquire()
        assert seconds(started) < 5
        mine.release()
        sleeper.kill()


@worlds(HERE, NO_FLOCK)
def test_what_is_waited_for_is_said(
    holder: Python, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = lock(path, stale=0.5)
    timer = threading.Timer(1, lambda: holder.communicate(""))
    timer.start()
    mine.acquire()
    timer.join()
    mine.release()
    (line,) = capsys.readouterr().out.splitlines()
    assert line == (
        f"{path.parent}: in use by process {holder.pid} on {platform.node()}; waiting for it to "
        f"end; to end it, stop that process; if it is none of gan_aug, remove {path}"
    )


@worlds(HERE)
def test_who_only_waits_says_so_too(
    holder: Python, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timer = threading.Timer(1, lambda: holder.communicate(""))
    timer.start()
    lock(path, stale=0.5).wait_until_free()
    timer.join()
    assert f"in use by process {holder.pid} on " in capsys.readouterr().out


@worlds(HERE)
def test_a_busy_folder_names_its_process(holder: Python, path: Path) -> None:
    from gan_aug.run.record import Busy

    mine = lock(path)
    assert not mine.acquire(wait=False)
    busy = Busy(path.parent, mine.owner, "go elsewhere")
    assert f"process {holder.pid} on {platform.node()}, by {path}" in str(busy)
