"""Run commands in forks of a process that has imported everything: 0.3 s each instead of 5.

Each command is still a process of its own, as `python -m gan_aug.NAME` is: its own folder,
environment, arguments, streams, exit code and end. The module of the command itself is run afresh.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

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

    def __init__(self, forker: Forker, pid: int, arguments: list[str], streams: Path) -> None:
        self.pid = pid
        self.args = [sys.executable, "-m", *arguments]
        self.returncode: int | None = None
        self._forker, self._streams = forker, streams

    def poll(self) -> int | None:
        """Return the exit code of what has ended, minus the signal that ended it."""
        if self.returncode is None:
            self.returncode = self._forker.ask({"poll": self.pid})
            if self.returncode is not None:
                self.stdout, self.stderr = (
                    (self._streams / name).read_text(errors="replace") for name in STREAMS
                )
                shutil.rmtree(self._streams)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; subprocess.TimeoutExpired if it takes longer."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            time.sleep(0.005)
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end and return what it printed."""
        self.wait(timeout)
        return self.stdout, self.stderr

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forker:
    """A process that forks commands; started at the first one."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def start(self, arguments: list[str], cwd: Path, env: dict[str, str]) -> Forked:
        """Start `python -m ARGUMENTS` and go on."""
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=env,
            )
            atexit.register(self.close)
        streams = Path(tempfile.mkdtemp())
        request = {"arguments": arguments, "cwd": str(cwd), "env": env, "streams": str(streams)}
        return Forked(self, self.ask(request), arguments, streams)

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
        return subprocess.CompletedProcess(forked.args, code, forked.stdout, forked.stderr)

    def ask(self, request: dict[str, Any]) -> Any:
        """Send a line to the process; return what it answers."""
        assert self._server is not None
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(request), file=self._server.stdin, flush=True)
        return json.loads(self._server.stdout.readline())

    def close(self) -> None:
        """End the process, and what it has started."""
        if self._server is not None:
            self._server.communicate()
            self._server = None


def become(request: dict[str, Any]) -> None:
    """Turn this fork into the command."""
    # A background job of a script is started with SIGINT ignored; a person's is not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    paths = [os.devnull, *(str(Path(request["streams"]) / name) for name in STREAMS)]
    for number, path in enumerate(paths):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    module, *arguments = request["arguments"]
    if (Path(request["cwd"]) / PACKAGE).exists():  # another one, which is meant
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]
    leave_out(request)
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


def leave_out(request: dict[str, Any]) -> None:
    """Leave out what takes much of a command's time and few tests look at."""
    from hydra._internal.hydra import Hydra

    if not any("hydra.mode" in one or one.startswith("--config") for one in request["arguments"]):
        # Hydra composes all once more to see whether a file sets hydra.mode; conf/ does not.
        Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]
    build = sys.modules.get(f"{PACKAGE}.report.build")
    if build is not None and request["env"].get(FIGURES) == LEFT_OUT:
        build.all_figures = lambda *_: {}  # type: ignore[attr-defined]


def own_modules() -> list[str]:
    """Return the package's modules but for those that are commands, which are run as __main__."""
    package = importlib.import_module(PACKAGE)
    names = [found.name for found in pkgutil.walk_packages(package.__path__, f"{PACKAGE}.")]
    commands = {found.name for found in pkgutil.iter_modules(package.__path__, f"{PACKAGE}.")
                if not found.ispkg}  # fmt: skip
    return [name for name in names if name not in commands and not name.endswith("__main__")]


def warm_up() -> None:
    """Do once what every command would do for the first time: parse settings, look at fonts."""
    from hydra import compose, initialize_config_dir
    from matplotlib.figure import Figure

    conf = Path(importlib.import_module(PACKAGE).__path__[0]).parents[1] / "conf"
    with initialize_config_dir(str(conf), version_base="1.3"):
        compose("study", ["+study=own", "data.root=x", "study.splits=[test]"])
    figure = Figure(layout="constrained")
    figure.subplots().set_title("1 a")
    figure.savefig(io.BytesIO(), format="png")


def main() -> None:
    """Answer each line of JSON: with the id of a command's fork, or whether one has ended."""
    for name in (*LIBRARIES, *own_modules()):
        importlib.import_module(name)
    warm_up()
    gc.freeze()  # a fork's garbage collector would touch, and so copy, what is shared
    running = set()
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        if "poll" in request:
            pid, status = os.waitpid(request["poll"], os.WNOHANG)
            running.discard(pid)
            print(json.dumps(os.waitstatus_to_exitcode(status) if pid else None), flush=True)
            continue
        child = os.fork()
        if child == 0:
            become(request)
            return
        running.add(child)
        print(child, flush=True)
    for child in running:
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
