"""One process at a time: locks on this computer and between those that share a file system.

A lock is a small file that says whose it is. It is there while the lock is held, and every few
seconds its owner touches it. Whoever finds it there tells whether the owner still lives:

- On the same kernel and mount the owner's flock on that file says so, at once and for certain:
  it ends with the process, also of kill -9 and in another container, and a process that is only
  suspended keeps it. That is so on local disks, and on NFS whether it is mounted with locking or
  with `nolock`, where flock works within one computer.
- Where flock does nothing (the owner tries it out and says so in the file) the process id and
  start time say so, and that this process has the file open, on the same kernel and in the same
  container.
- From any other computer only the touching does. An owner whose file does not change for `STALE`
  seconds counts as gone. The seconds are the observer's own, and of a gap between two looks
  little counts: no clock of another computer is read, and an outage of the server is not taken
  for a death. An owner that was only suspended for so long finds the lock another's when it goes
  on: `check_held`, which every whole file is written through, then raises `Lost`. What it was
  about to rename when it was suspended, the last check passed, is renamed all the same.

Taking over cannot give two owners either: whoever may succeed the tenure T first creates LOCK.T,
which only one process ever can, then checks that T is still the one, and renames it to LOCK.

filelock 4.2 has all of this but in no one class. FileLock knows nothing of other computers, where
NFS is mounted with `nolock` or a node has died. SoftFileLease takes a dead owner's lock over by
exchanging two names, which NFS refuses, so that it then waits for ever; on one computer it takes
from an owner that is only suspended. SoftReadWriteLock does work on NFS, but waits its time after
a kill -9 on the same computer too, and cannot be asked who holds it without writing.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from gan_aug.run.errors import GanAugError
from gan_aug.run.lock_file import Seen, create, look

STALE = 45.0
"""Seconds without a touch after which an owner on another computer counts as gone."""
POLL = 0.1
"""Seconds between two looks at a lock that is waited for."""
_TOUCHES = 5
"""How often an owner touches its file in those seconds."""
_LONGEST_GAP = 5 * POLL
"""What counts at most of the time between two looks."""
_held: set[Lock] = set()


class Lost(GanAugError):
    """A lock that this process held is another's now, or was removed."""

    def __init__(self, lock: Lock) -> None:
        super().__init__(
            f"{lock.guards}: this process stood still for more than {lock.stale:g} s, so another "
            f"may have gone on here, or {lock.path} was removed; nothing more is written; repeat "
            "the command once the other has ended"
        )


class Lock:
    """A lock; one thread of one process takes it, and not twice.

    Args:
        path: the file; its folder must be there.
        guards: the folder or file that nobody else writes meanwhile.
        stale: see `STALE`; the same for all who share the lock.

    Attributes:
        owner: who was seen to hold it last, for people.
    """

    def __init__(self, path: Path, guards: Path, stale: float = STALE) -> None:
        self.path, self.guards, self.stale = path, guards, stale
        self._token = ""
        self._fd, self._pid = -1, -1
        self._lost = False
        self._sure = 0.0
        self._live = False
        self._watched: dict[Path, tuple[Seen, float, float]] = {}
        self._said = False
        self.owner = "an unknown process"

    def acquire(self, wait: bool = True) -> bool:
        """Take the lock.

        Args:
            wait: for a living owner. That of a dead one on another computer takes `stale` seconds
                either way.

        Returns:
            Whether it is held now: not if the owner lives and is not waited for.

        Raises:
            OSError: the file cannot be written.
        """
        self._token = secrets.token_hex(16)
        started = time.monotonic()
        while True:
            self._live = False
            fd = self._take(self.path)
            if fd is not None:
                break
            if self._live and not wait:
                return False
            self._say(started)
            time.sleep(POLL)
        self._fd, self._pid, self._lost = fd, os.getpid(), False
        self._sure = time.monotonic()
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
        with suppress(OSError):  # the end of the flock says it too
            if self._is_mine():
                self.path.unlink()
        os.close(self._fd)

    def __enter__(self) -> Lock:
        """Wait for the lock."""
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give it back."""
        self.release()

    def check(self) -> None:
        """Check that the lock is still this process's.

        Raises:
            Lost: it is not, or that could not be told for `stale` seconds.
        """
        if not self._lost:
            try:
                self._lost = not self._is_mine()
            except OSError:  # a server that does not answer, say
                self._lost = time.monotonic() - self._sure > self.stale
        if self._lost:
            raise Lost(self)

    def wait_until_free(self) -> None:
        """Wait while another process holds the lock, without taking it."""
        started = time.monotonic()
        while (seen := look(self.path)) is not None and not self._is_gone(self.path, seen):
            self._say(started)
            time.sleep(POLL)

    def _say(self, started: float) -> None:
        """Say once, when it lasts, what is waited for and how to end that."""
        if self._said or time.monotonic() - started <= self.stale / _TOUCHES:
            return
        self._said = True
        how = f"waiting up to {self.stale:g} s to see whether that still runs; to go on at once"
        if self._live:
            how = "waiting for it to end; to end it, stop that process; if it is none of gan_aug"
        print(f"{self.guards}: in use by {self.owner}; {how}, remove {self.path}", flush=True)

    def _is_mine(self) -> bool:
        seen = look(self.path, judge=False)
        if seen is None or seen.tenure != self._token:
            return False
        self._sure = time.monotonic()
        return True

    def _touch(self) -> None:
        while not self._stop.wait(self.stale / _TOUCHES):
            with suppress(OSError):  # the next time, maybe; `check` counts the seconds
                if not self._is_mine():
                    self._lost = True
                    return
                os.utime(self._fd)

    def _take(self, path: Path) -> int | None:
        """Create the file, or succeed an owner that is gone; None if that cannot be done now."""
        if (fd := create(path, self._token)) is not None:
            return fd
        seen = look(path)
        if seen is None or not self._is_gone(path, seen):
            return None
        successor = path.with_name(f"{path.name}.{seen.tenure}")
        # Whoever was to succeed may have died over it.
        if (fd := self._take(successor)) is None:
            return None
        try:
            if look(path) == seen:
                successor.replace(path)
                return fd
            successor.unlink()  # another succeeded before, or the owner was only slow
        except BaseException:
            os.close(fd)
            successor.unlink(missing_ok=True)
            raise
        os.close(fd)
        return None

    def _is_gone(self, path: Path, seen: Seen) -> bool:
        """Tell whether the owner is certainly or by now presumably gone; note if it lives."""
        self.owner = seen.who
        if seen.alive is not None:
            self._live = self._live or seen.alive
            return not seen.alive
        now = time.monotonic()
        before, at, quiet = self._watched.get(path, (None, now, 0.0))
        if before is not None and before != seen:
            self._live = True
        quiet = quiet + min(now - at, _LONGEST_GAP) if before == seen else 0.0
        self._watched[path] = (seen, now, quiet)
        return quiet >= self.stale


def check_held(path: Path) -> None:
    """Check that this process may still write a file.

    Args:
        path: the file. One that no lock of this process guards may be written.

    Raises:
        Lost: the lock that guards it is another's by now.
    """
    for lock in tuple(_held):
        if path.is_relative_to(lock.guards):
            lock.check()


def guard_of(path: Path) -> Path | None:
    """Return the innermost folder or file around a path that a lock of this process guards."""
    around = [lock.guards for lock in tuple(_held) if path.is_relative_to(lock.guards)]
    return max(around, key=lambda guards: len(guards.parts), default=None)


def is_held(path: Path, stale: float = STALE) -> bool:
    """Tell whether a living process holds a lock, at once and without touching it.

    Of an owner on another computer the time of its last touch is compared with the time that the
    file system gives a new, nameless file. In a folder that may not be written it counts as alive.

    Args:
        path: the lock's file.
        stale: see `STALE`.
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
    return abs(now - seen.touched) < stale * 1e9
