"""The file of a lock: what it says of its owner, and whether that one still lives."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import re
import stat
import time
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """What a lock file says; it may come from anyone.

    Attributes:
        token: 32 random hex digits that name this tenure.
        host: the computer, for people.
        pid: the process, in its own container.
        started: when it was started, in clock ticks since the kernel was; -1 where unknown.
        kernel: changes with each start of a computer.
        processes: which container's process ids those are; -1 where unknown.
        device: the mount that the file was made on.
        flock: whether the owner holds a flock on the file that keeps others from having one.
    """

    token: str
    host: str
    pid: int
    started: int
    kernel: str
    processes: int
    device: int
    flock: bool


@dataclass(frozen=True)
class Seen:
    """A look at a lock file.

    Attributes:
        tenure: a name for it; other owners, other names.
        touched: when, in ns of whichever clock.
        alive: whether its owner is, None where that cannot be told from here.
        who: the owner, for people.
    """

    tenure: str
    touched: int
    alive: bool | None
    who: str


def create(path: Path, token: str) -> int | None:
    """Create a lock file that is this process's, and keep it open.

    Args:
        path: the file; its folder must be there.
        token: 32 random hex digits.

    Returns:
        Its descriptor, to be closed by the caller; None where there is one already.

    Raises:
        OSError: it cannot be written.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return None
    try:
        owner = Owner(
            token=token,
            host=platform.node(),
            pid=os.getpid(),
            started=_started(os.getpid()),
            kernel=_kernel(),
            processes=_processes(),
            device=os.fstat(fd).st_dev,
            flock=_flocked(fd, path),  # before it is written that it is so
        )
        os.write(fd, json.dumps(asdict(owner)).encode())
        os.close(os.dup(fd))  # NFS sends what was written when a descriptor is closed
    except BaseException:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    return fd


def look(path: Path, judge: bool = True) -> Seen | None:
    """Look at a lock file; None where there is none.

    Args:
        path: the file.
        judge: whether its owner lives, too.

    Raises:
        OSError: it cannot be read, or is something else.
    """
    try:  # opening it by name makes NFS ask the server
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        owner = _parse(os.read(fd, 4096))
        if owner is None:  # just made, or whoever made it was stopped before a word
            tenure = f"{found.st_ino:x}-{found.st_mtime_ns:x}"
            return Seen(tenure, found.st_mtime_ns, None, "an unknown process")
        alive = _is_alive(owner, fd, found.st_dev) if judge else None
        who = f"process {owner.pid} on {owner.host}"
        return Seen(owner.token, found.st_mtime_ns, alive, who)
    finally:
        os.close(fd)


def _parse(content: bytes) -> Owner | None:
    try:
        values = json.loads(content)
        owner = Owner(**{field.name: values[field.name] for field in fields(Owner)})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    kinds = {"str": str, "int": int, "bool": bool}
    sound = all(isinstance(getattr(owner, f.name), kinds[str(f.type)]) for f in fields(Owner))
    named = sound and re.fullmatch("[0-9a-f]{32}", owner.token) and 0 < owner.pid < 2**31
    return owner if named else None


def _is_alive(owner: Owner, fd: int, device: int) -> bool | None:
    if owner.kernel != _kernel():
        return None
    if owner.flock and owner.device == device:
        try:
            # Shared: several that look do not take each other for the owner.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return None
        return False
    if owner.processes == _processes() and -1 not in (owner.processes, owner.started):
        return _is_running(owner, fd)
    return None


def _flocked(fd: int, path: Path) -> bool:
    """Take a flock on a new file, and tell whether that keeps others from having one."""
    try:
        for _ in range(100):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:  # somebody looks at the file
                time.sleep(0.01)
        else:
            return False
        other = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(other)
    except OSError:
        pass
    return False


@cache
def _kernel() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux
        return platform.node()


def _processes() -> int:
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return -1


def _is_running(owner: Owner, fd: int) -> bool | None:
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's, whom /proc may hide
        return None
    if _started(owner.pid) != owner.started:
        return False
    return _has_open(owner.pid, fd)


def _has_open(pid: int, fd: int) -> bool | None:
    """Tell whether a process has a file open, as the owner of a lock has: a file may name any."""
    wanted = os.fstat(fd).st_ino
    try:
        found = list(os.scandir(f"/proc/{pid}/fd"))
    except OSError:
        return None
    for entry in found:
        try:
            if entry.stat().st_ino == wanted:
                return True
        except OSError:  # closed meanwhile
            continue
    return False


def _started(pid: int) -> int:
    """Return when a process was started (clock ticks since the kernel was), -1 without one."""
    try:
        # After the name, which may hold anything: state, parent ... and the 20th is the start.
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return -1 if state in "ZX" else int(rest[18])
    except (OSError, ValueError, IndexError):
        return -1
