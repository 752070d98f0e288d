"""Run commands in forks of a process that has imported everything: 0.3 s each instead of 5.

Each command is still a process of its own, as `python -m gan_aug.NAME` is: its own folder,
environment, arguments, streams, exit code and end. The module of the command itself is run afresh.
So are the jobs of a multirun.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

LIBRARIES = (
    "hydra", "omegaconf", "torch", "torchvision", "lightning.pytorch", "torchmetrics", "PIL.Image",
    "torch.utils.tensorboard", "scipy.stats", "matplotlib.pyplot", "rich.progress",
    "torchmetrics.image.kid", "pydantic",
)  # fmt: skip
PACKAGE = "gan_aug"
STREAMS = ("stdout", "stderr")
FIGURES, LEFT_OUT = "FIGURES_OF_REPORTS", "left out"
"""In the environment of a command: whether its report has none."""


class Forked:
    """A command that runs in a fork, with what `subprocess.Popen` has of a process."""

    def __init__(self, address: str, request: dict[str, Any]) -> None:
        self.args = [sys.executable, "-m", *request["arguments"]]
        self.returncode: int | None = None
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address)
        self._lines = connection.makefile("rw")
        print(json.dumps(request), file=self._lines, flush=True)
        self.pid = int(self._lines.readline())
        self._ended = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        self.returncode = int(self._lines.readline())
        self._ended.set()

    def poll(self) -> int | None:
        """Return the exit code of what has ended, minus the signal that ended it."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; subprocess.TimeoutExpired if it takes longer."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended this moment
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkedCommand(Forked):
    """One that a test starts; what it prints is kept in a folder."""

    def __init__(self, address: str, request: dict[str, Any], streams: Path) -> None:
        self._streams = {name: str(streams / name) for name in STREAMS}
        super().__init__(address, request | self._streams)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end and return what it printed."""
        self.wait(timeout)
        out, errors = (Path(path).read_text(errors="replace") for path in self._streams.values())
        return out, errors


class Forker:
    """A process that forks commands; started at the first one."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None

    def start(self, arguments: list[str], cwd: Path, env: dict[str, str]) -> ForkedCommand:
        """Start `python -m ARGUMENTS` and go on."""
        if self._server is None:
            self._folder = Path(tempfile.mkdtemp())
            self._address = str(self._folder / "socket")
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(self._address)
                listening.listen()
                self._server = subprocess.Popen(
                    [sys.executable, __file__, str(listening.fileno())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[listening.fileno()],
                    env=env,
                    start_new_session=True,  # all that it forks is killed with it
                )
            atexit.register(self.close)
        request = {"arguments": arguments, "cwd": str(cwd), "env": env}
        return ForkedCommand(self._address, request, Path(tempfile.mkdtemp(dir=self._folder)))

    def run(
        self, arguments: list[str], cwd: Path, env: dict[str, str], timeout: int
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m ARGUMENTS` to its end.

        Raises:
            subprocess.TimeoutExpired: it took longer than it may, and was killed.
        """
        forked = self.start(arguments, cwd, env)
        try:
            code = forked.wait(timeout)
        finally:
            forked.kill()
        return subprocess.CompletedProcess(forked.args, code, *forked.communicate())

    def close(self) -> None:
        """End the process, and what it has started."""
        if self._server is not None:
            self._server.communicate()
            self._server = None
            shutil.rmtree(self._folder)


def become(request: dict[str, Any], address: str) -> NoReturn:
    """Turn this fork into the command; at the address it may ask for forks of its own."""
    # A background job of a script is started with SIGINT ignored; a person's is not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    for number, path in enumerate((os.devnull, *(request[name] for name in STREAMS))):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    if request.get("new_session"):
        os.setsid()
    module, *arguments = request["arguments"]
    if (Path(request["cwd"]) / PACKAGE).exists():  # another one, which is meant
        forget_own()
    leave_out(request)
    fork_jobs(address)
    sys.path[0] = request["cwd"]
    sys.argv = [module, *arguments]
    code: object = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as exit_:
        code = exit_.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    # Python's own end would take all libraries to pieces, and copy their memory to do so: 1 s.
    os._exit(code)


def forget_own() -> None:
    """Forget the package, and what Hydra knows of its plugins."""
    from hydra.core.plugins import Plugins
    from hydra.core.singleton import Singleton

    own = (PACKAGE, "hydra_plugins")
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]
    Singleton._instances.pop(Plugins, None)


def leave_out(request: dict[str, Any]) -> None:
    """Leave out what takes much of a command's time and few tests look at."""
    from hydra._internal.hydra import Hydra

    telling = {one for one in request["arguments"] if one.startswith(("--config", "hydra.mode"))}
    if telling <= {"hydra.mode=RUN"}:
        # Hydra composes all once more to see whether a file sets hydra.mode; conf/ does not.
        Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]
    build = sys.modules.get(f"{PACKAGE}.report.build")
    if build is not None and request["env"].get(FIGURES) == LEFT_OUT:
        build.all_figures = lambda *_: {}  # type: ignore[attr-defined]


def fork_jobs(address: str) -> None:
    """Let the jobs of a multirun be forks too, where they would be processes that begin anew."""

    def popen(command: list[str], env: dict[str, str], stdout: Any, **_: object) -> Forked:
        job = {"arguments": command[2:], "cwd": os.getcwd(), "env": env, "new_session": True}
        return Forked(address, job | dict.fromkeys(STREAMS, stdout.name))

    pool: Any = sys.modules.get(f"{PACKAGE}.jobs.pool")
    if pool is not None:
        pool.subprocess = SimpleNamespace(**vars(subprocess) | {"Popen": popen})


def own_modules() -> list[str]:
    """Return the package's modules but for those that are commands, which are run as __main__."""
    package = importlib.import_module(PACKAGE)
    names = [found.name for found in pkgutil.walk_packages(package.__path__, f"{PACKAGE}.")]
    commands = {found.name for found in pkgutil.iter_modules(package.__path__, f"{PACKAGE}.")
                if not found.ispkg}  # fmt: skip
    return [name for name in names if name not in commands and not name.endswith("__main__")]


def warm_up(conf: Path) -> None:
    """Do once what every command would do for the first time: parse settings, look at fonts."""
    from hydra import compose, initialize_config_dir
    from matplotlib.figure import Figure

    with initialize_config_dir(str(conf), version_base="1.3"):
        compose("study", ["+study=own", "data.root=x", "study.splits=[test]"])
    figure = Figure(layout="constrained")
    figure.subplots().set_title("1 a")
    figure.savefig(io.BytesIO(), format="png")


def keep_compiled(package: Path, folder: Path) -> None:
    """Let all forks have the templates of pages that the first of them compiles."""
    from jinja2 import FileSystemBytecodeCache

    pages = importlib.import_module(f"{PACKAGE}.pages.html")
    for holds in {path.parent for path in package.rglob("*.html.j2")}:
        pages._environment(holds).bytecode_cache = FileSystemBytecodeCache(str(folder))


def main() -> None:
    """Fork a command for each connection."""
    for name in (*LIBRARIES, *own_modules()):
        importlib.import_module(name)
    listening = socket.socket(fileno=int(sys.argv[1]))
    address = listening.getsockname()
    package = Path(importlib.import_module(PACKAGE).__path__[0])
    warm_up(package.parents[1] / "conf")
    keep_compiled(package, Path(address).parent)
    gc.freeze()  # a fork's garbage collector would touch, and so copy, what is shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # each fork below tells of its command's end
    while sys.stdin not in select.select([sys.stdin, listening], [], [])[0]:
        connection, _ = listening.accept()
        if os.fork() == 0:
            serve(connection, address)
    os.killpg(0, signal.SIGKILL)


def serve(connection: socket.socket, address: str) -> NoReturn:
    """Fork a command, tell its process id, and then its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request = json.loads(connection.makefile().readline())
    child = os.fork()
    if child == 0:
        become(request, address)
    with contextlib.suppress(OSError):  # whoever asked was killed
        connection.sendall(f"{child}\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.sendall(f"{code}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    main()
