"""A real Slurm of two virtual nodes on this machine, on loopback, for tests that need one.

Each daemon runs in a namespace of processes of its own: when its first process is killed, the
kernel kills all others, jobs as well. So a node dies as a machine does, and nothing is left
behind, not even when the tests themselves are killed. The nodes have host names of their own too.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

from slurm.configuration import SLURM, SLURMDBD

NODES = ("n1", "n2")
PROGRAMS = (
    "munged", "mungekey", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd",
    "sacct", "unshare", "setpriv",
)  # fmt: skip
ISOLATED = (
    *("setpriv", "--pdeathsig", "KILL"),  # ends with the tests
    *("unshare", "--pid", "--mount-proc", "--uts", "--fork", "--kill-child"),
)
NODE = """\
hostname "$1" && mount --bind "$2" /etc/hosts && slurmd -D -N "$1" & wait"""
"""The shell is there to reap: the jobs' processes become its children."""


def unavailable() -> str | None:
    """Return why there can be no cluster here, None where there can."""
    # Debian puts the daemons where only root's PATH looks.
    if missing := [name for name in PROGRAMS if not _program(name)]:
        return f"Slurm is not installed ({', '.join(missing)} missing): .ci/slurm-packages"
    if os.geteuid() != 0:
        return "a Slurm of its own needs root"
    tried = subprocess.run([*ISOLATED, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        return f"a Slurm of its own needs namespaces: {tried.stderr.strip()}"
    return None


def wait_until(condition: Callable[[], bool], timeout: float = 60) -> bool:
    """Wait until the condition holds; return whether it did within the seconds given."""
    end = time.monotonic() + timeout
    while not (holds := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return holds


class SlurmCluster:
    """A running cluster, as a context manager.

    Partitions: cpu (the default), short (2 minutes at most), high (pre-empts the others' jobs).
    Nodes: n1 and n2, 4 CPUs and 8000 MB each, whatever the machine has.

    No task of an array has the index `max_array_size` or a higher one.

    Raises:
        RuntimeError: a daemon ended or was not ready within a minute; with the end of its log.
    """

    def __init__(self, max_array_size: int = 1001) -> None:
        self._max_array_size = max_array_size
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> SlurmCluster:
        # Sockets have short paths, and munged wants a folder that all may enter.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        self.folder.chmod(0o755)
        try:
            self._configure()
            self._start_all()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a user of the cluster who is not inside a job."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))}
        path = os.pathsep.join((kept.get("PATH", os.defpath), "/usr/sbin"))
        return kept | {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    @property
    def _environment(self) -> dict[str, str]:
        """The daemons': MariaDB deletes others' files in a folder for temporary ones."""
        database = {"MYSQL_UNIX_PORT": f"{self.folder}/mysql.sock", "TMPDIR": str(self.folder)}
        return self.environment | database

    def run(self, *command: str) -> str:
        """Run a command of Slurm to its end and return what it printed."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def squeue(self) -> dict[str, str]:
        """Return the state of each job that has not ended, by id; an array's tasks one by one."""
        lines = self.run("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def sacct(self, job: str) -> list[str]:
        """Return the state in which each life of a job ended: a requeue begins another.

        It lags seconds behind squeue: wait until it says what is asserted.
        """
        asked = ("--allocations", "--duplicates", "--noheader", "--parsable2", "--format=State")
        return self.run("sacct", "--jobs", job, *asked).splitlines()

    def stop_node(self, name: str) -> None:
        """Let a node die, its jobs with it. Slurm notices after the node's time-out."""
        self._kill(name)

    def start_node(self, name: str) -> None:
        """Start a node, and wait until it takes jobs."""
        before = time.strftime("%Y-%m-%dT%H:%M:%S")
        self._start(name, "sh", "-c", NODE, "node", name, f"{self.folder}/hosts")
        self._until(lambda: self._up_since(name, before), name)

    def pids(self) -> set[int]:
        """Return all processes of the cluster, those of jobs as well."""
        parents = dict(_processes())
        found = {daemon.pid for daemon in self._daemons.values()}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def stop(self) -> None:
        """End every process of the cluster and delete its folder."""
        for name in reversed(list(self._daemons)):
            self._kill(name)
        shutil.rmtree(self.folder)

    def _configure(self) -> None:
        ports = dict(zip(("slurmdbd", "slurmctld", *NODES), _free_ports(4), strict=True))
        values = {"folder": self.folder, **ports, "max_array_size": self._max_array_size}
        for name, text in {
            "slurm.conf": SLURM.format(**values),
            "slurmdbd.conf": SLURMDBD.format(**values),
            "hosts": f"127.0.0.1 localhost {' '.join(NODES)}\n",
        }.items():
            (self.folder / name).write_text(text)
        (self.folder / "slurmdbd.conf").chmod(0o600)
        (self.folder / "state").mkdir()
        for name in NODES:
            (self.folder / f"spool-{name}").mkdir()
        self.run("mungekey", "--create", f"--keyfile={self.folder}/munge.key")

    def _start_all(self) -> None:
        folder = self.folder
        munge = ("key-file=key", "socket=sock", "pid-file=pid", "log-file=log", "seed-file=seed")
        options = [f"--{o.replace('=', f'={folder}/munge.')}" for o in munge]
        self._start("munged", "munged", "--foreground", *options)
        self.run(
            *("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={folder}/db"),
            *("--auth-root-authentication-method=socket", "--skip-test-db", f"--tmpdir={folder}"),
        )
        self._start(
            *("mariadbd", "mariadbd", "--no-defaults", "--user=root", f"--datadir={folder}/db"),
            *("--skip-networking", f"--socket={folder}/mysql.sock", f"--pid-file={folder}/db.pid"),
            *("--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M"),
        )
        for daemon, file in (("munged", "munge.sock"), ("mariadbd", "mysql.sock")):
            self._until((folder / file).is_socket, daemon)
        self._start("slurmdbd", "slurmdbd", "-D")
        self._until(lambda: self._answers("sacctmgr", "--noheader", "list", "cluster"), "slurmdbd")
        self.run("sacctmgr", "--immediate", "add", "cluster", "test")
        self._start("slurmctld", "slurmctld", "-D")
        self._until(lambda: self._answers("sinfo"), "slurmctld")
        for name in NODES:
            self.start_node(name)

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                [*ISOLATED, *command],
                env=self._environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _kill(self, name: str) -> None:
        """Kill a daemon's namespace; its first process is gone when all others are."""
        daemon = self._daemons.pop(name)
        first = [pid for pid, parent in _processes() if parent == daemon.pid]
        for pid in first or [daemon.pid]:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.kill(pid, signal.SIGKILL)
        daemon.wait()

    def _until(self, ready: Callable[[], bool], name: str) -> None:
        """Wait for a daemon."""
        daemon = self._daemons[name]
        settled = wait_until(lambda: daemon.poll() is not None or ready())
        if not settled or daemon.poll() is not None:
            log = (self.folder / f"{name}.log").read_text(errors="replace")
            fate = "ended" if settled else "is not ready"
            raise RuntimeError(f"{name} {fate}: {log[-2000:]}")

    def _answers(self, *command: str) -> bool:
        return subprocess.run(command, env=self.environment, capture_output=True).returncode == 0

    def _up_since(self, name: str, moment: str) -> bool:
        """Whether this slurmd has announced itself: a node that died may still pass for idle."""
        shown = self.run("scontrol", "--oneliner", "show", "node", name).split()
        fields = dict(each.split("=", 1) for each in shown if "=" in each)
        since = fields["SlurmdStartTime"]
        ready = fields["State"] in ("IDLE", "MIXED", "ALLOCATED")
        return ready and since != "None" and since >= moment


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens at, below those that Linux gives whoever names none."""
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < count:
            port = 10000 + secrets.randbelow(20000)
            with contextlib.suppress(OSError):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                ports.append(port)
    return ports


def _processes() -> Iterable[tuple[int, int]]:
    """Yield number and parent's number of each process."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2]
        except OSError:  # it has ended meanwhile
            continue
        yield int(folder.name), int(after_name.split()[1])
