"""One process at a time: a lease that its owner renews, and whose token is checked at each rename.

A lock is a small file that names its owner: a random token, the computer, the process. It is there
while the lock is held, and every few seconds its owner touches it. Whoever finds it:

- on the same computer (and in the same container) asks the system whether that process still
  runs. `kill -9` is known at once, and a process that is only suspended keeps its lock;
- from anywhere else waits for a touch. An owner whose file does not change for `STALE` seconds is
  taken for gone. The seconds are the observer's own and a long gap between two looks counts
  little, so neither clocks that differ nor an outage of the file server look like a death.

Two never own a lock: whoever succeeds the owner with token T first creates LOCK.T, which only one
can, looks again whether T still stands in LOCK, and renames LOCK.T to LOCK. An owner that was
suspended elsewhere and taken for gone is fenced off: `check_held` compares the token before every
rename of a whole file (`gan_aug.runtime.files`) and raises `Lost`. A rename that had passed this
check already still happens.

Why no flock: Windows has none, NFS mounted with `nolock` keeps it to one computer, and some file
systems accept it and do nothing. It would only make a `kill -9` in another container of the same
computer known at once. Why not filelock 4.3: its FileLock is a flock; its SoftFileLease takes over
by exchanging two names, which NFS refuses, and from an owner that is only suspended; none can be
asked who holds it without writing.
"""

from __future__ import annotations

import errno
import os
import platform
import secrets
import stat
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from typing import Literal, NamedTuple

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gan_aug.runtime.errors import GanAugError

STALE = 45.0
"""Seconds without a touch after which an owner elsewhere counts as gone."""
POLL = 0.1
"""Seconds between two looks at a lock that is waited for."""
_TOUCHES = 5
"""How often an owner touches its file in `STALE` seconds."""
_LONGEST_GAP = 5 * POLL
"""What counts at most of the time between two looks."""
_SAME_START = 2.0
"""Seconds that two readings of when a process started may differ by."""
_held: set[Lock] = set()


class Owner(BaseModel):
    """What a lock file says; it may come from anyone.

    `place` is where process numbers mean the same (computer, its last start, container), `token`
    names this tenure, `started` is when the process was, seconds since 1970.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = 1
    token: str = Field(pattern="^[0-9a-f]{32}$")
    host: str
    place: str
    pid: int = Field(gt=0, lt=2**31)
    started: float = Field(allow_inf_nan=False)


class Seen(NamedTuple):
    """A look at a lock file.

    `tenure` names it: other owners, other names. `touched` is in ns of whichever clock. `alive` is
    None where that cannot be told from here. `who` is the owner, for people.
    """

    tenure: str
    touched: int
    alive: bool | None
    who: str


class Lost(GanAugError):
    """A lock that this process held is another's now, or was removed."""


class Lock:
    """A lock; one thread of one process takes it, and not twice.

    Its file is `path`, in a folder that must be there. Nobody else writes meanwhile what it
    `guards`, a folder or file. `owner` is who was seen to hold it last, for people.
    """

    def __init__(self, path: Path, guards: Path) -> None:
        self.path, self.guards = path, guards
        self.owner = "an unknown process"
        self._token = ""
        self._pid = -1
        self._lost = self._live = self._said = False
        self._sure = 0.0
        self._watched: dict[Path, tuple[Seen, float, float]] = {}

    def acquire(self, wait: bool = True) -> bool:
        """Take the lock, or raise OSError; return whether it is held now.

        `wait` is for a living owner. A dead one elsewhere takes `STALE` seconds either way.
        """
        self._token = secrets.token_hex(16)
        started = monotonic()
        while True:
            self._live = False
            if self._take(self.path):
                break
            if self._live and not wait:
                return False
            self._say(started)
            sleep(POLL)
        self._pid, self._lost, self._sure = os.getpid(), False, monotonic()
        self._stop = threading.Event()
        self._toucher = threading.Thread(target=self._touch, name=f"lock {self.path}", daemon=True)
        self._toucher.start()
        _held.add(self)
        return True

    def release(self) -> None:
        """Give the lock back; nothing happens in a fork, or where it is another's by now."""
        if self._pid != os.getpid():
            return
        self._pid = -1
        _held.discard(self)
        self._stop.set()
        self._toucher.join()
        with suppress(OSError):  # others learn of it when this process ends
            if self._is_mine():
                patiently(self.path.unlink)

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def check(self) -> None:
        """Raise `Lost` where it is another's, or that could not be told for `STALE` seconds."""
        if not self._lost:
            try:
                self._lost = not self._is_mine()
            except OSError:  # a server that does not answer, say
                self._lost = monotonic() - self._sure > STALE
        if self._lost:
            raise Lost(
                f"{self.guards}: this process stood still for more than {STALE:g} s, so "
                f"another may have gone on here, or {self.path} was removed; nothing more is "
                "written; repeat the command once the other has ended"
            )

    def _say(self, started: float) -> None:
        """Say once, when it lasts, what is waited for and how to end that."""
        if self._said or monotonic() - started <= STALE / _TOUCHES:
            return
        self._said = True
        how = f"waiting up to {STALE:g} s to see whether that still runs; to go on at once"
        if self._live:
            how = "waiting for it to end; to end it, stop that process; if it is none of gan_aug"
        print(f"{self.guards}: in use by {self.owner}; {how}, remove {self.path}", flush=True)

    def _is_mine(self) -> bool:
        seen = look(self.path)
        if seen is None or seen.tenure != self._token:
            return False
        self._sure = monotonic()
        return True

    def _touch(self) -> None:
        while not self._stop.wait(STALE / _TOUCHES):
            with suppress(OSError):  # the next time, maybe; `check` counts the seconds
                if not self._is_mine():
                    self._lost = True
                    return
                os.utime(self.path)

    def _take(self, path: Path) -> bool:
        """Create the file, or succeed an owner that is gone; return whether that was done."""
        if _create(path, self._token):
            return True
        seen = look(path)
        if seen is None or not self._is_gone(path, seen):
            return False
        successor = path.with_name(f"{path.name}.{seen.tenure}")
        # Whoever was to succeed may have died over it.
        if not self._take(successor):
            return False
        try:
            if look(path) == seen:
                patiently(lambda: successor.replace(path))
                return True
            successor.unlink()  # another succeeded before, or the owner was only slow
        except BaseException:
            successor.unlink(missing_ok=True)
            raise
        return False

    def _is_gone(self, path: Path, seen: Seen) -> bool:
        """Tell whether the owner is certainly or by now presumably gone; note if it lives."""
        self.owner = seen.who
        if seen.alive is not None:
            self._live = self._live or seen.alive
            return not seen.alive
        now = monotonic()
        before, at, quiet = self._watched.get(path, (None, now, 0.0))
        if before is not None and before != seen:
            self._live = True
        quiet = quiet + min(now - at, _LONGEST_GAP) if before == seen else 0.0
        self._watched[path] = (seen, now, quiet)
        return quiet >= STALE


def look(path: Path) -> Seen | None:
    """Look at a lock file: None where there is none, OSError where it cannot be read."""
    flags = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    try:  # opening it by name makes NFS ask the server
        fd = os.open(path, os.O_RDONLY | flags)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        content = os.read(fd, 4096)
    finally:
        os.close(fd)
    try:
        owner = Owner.model_validate_json(content)
    except ValidationError:  # just made, or whoever made it was stopped before a word
        tenure = f"{status.st_ino:x}-{status.st_mtime_ns:x}"
        return Seen(tenure, status.st_mtime_ns, None, "an unknown process")
    who = f"process {owner.pid} on {owner.host}"
    return Seen(owner.token, status.st_mtime_ns, _is_alive(owner), who)


def is_held(path: Path) -> bool:
    """Tell whether a living process holds a lock, at once and without touching it.

    Of an owner elsewhere the time of its last touch is compared with the time that the file system
    gives a new, nameless file. In a folder that may not be written it counts as alive.
    """
    try:
        seen = look(path)
    except OSError:  # a folder that only others may read tells nothing
        return False
    if seen is None or seen.alive is not None:
        return seen is not None and bool(seen.alive)
    try:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            now = os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return True
    return abs(now - seen.touched) < STALE * 1e9


def check_held(path: Path) -> None:
    """Raise `Lost` where another has taken over a lock of this process that guards the path."""
    for lock in tuple(_held):
        if path.is_relative_to(lock.guards):
            lock.check()


def guard_of(path: Path) -> Path | None:
    """Return the innermost folder or file around a path that a lock of this process guards."""
    around = [lock.guards for lock in tuple(_held) if path.is_relative_to(lock.guards)]
    return max(around, key=lambda guards: len(guards.parts), default=None)


def patiently(action: Callable[[], object]) -> None:
    """Rename or remove a file; Windows refuses that for the moment that somebody reads it."""
    for _ in range(20 if sys.platform == "win32" else 0):
        try:
            action()
            return
        except PermissionError:
            sleep(0.05)
    action()


def _create(path: Path, token: str) -> bool:
    """Create a lock file that is this process's; return whether there was none."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return False
    process = psutil.Process()
    host, started = platform.node(), process.create_time()
    owner = Owner(token=token, host=host, place=_place(), pid=process.pid, started=started)
    try:
        with os.fdopen(fd, "w") as file:  # NFS sends what was written when it is closed
            file.write(owner.model_dump_json())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return True


def _is_alive(owner: Owner) -> bool | None:
    """Tell whether the owner runs; None where only its touches can tell."""
    if owner.place != _place():
        return None
    try:
        process = psutil.Process(owner.pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return False
        # Another process has that number now, or the clock was set since.
        return abs(process.create_time() - owner.started) < _SAME_START or None
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # another user's
        return None


@cache
def _place() -> str:
    """Return what all processes have in common that know each other by number."""
    node = platform.node()
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{node} {boot} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:  # not Linux
        return node
