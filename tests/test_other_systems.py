"""Commands without what only Linux has; tried on Linux, with fcntl, /proc and the like taken away.

What this cannot show: how Windows and macOS treat paths, open files, signals and consoles. There
`make lint` checks names and types (mypy --platform), and nothing was run.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from support import TINY_CNN, TINY_STUDY, environment, read_json

TAKEN_AWAY = """
import builtins, os, pathlib, signal, sys, types

MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "syslog"}
NAMES = {
    "os": {"sched_getaffinity", "getloadavg", "fork", "mkfifo", "O_NOFOLLOW", "O_NONBLOCK",
           "O_CLOEXEC", "uname", "getuid", "geteuid", "kill", "waitid", "killpg", "setsid"},
    "signal": {"SIGUSR1", "SIGUSR2", "SIGKILL", "SIGALRM", "SIG_BLOCK", "pthread_sigmask"},
}
real_import = builtins.__import__


class Poorer(types.ModuleType):
    def __getattr__(self, name):
        if name in NAMES[self.__name__]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(sys.modules[self.__name__], name)


def asked_by_gan_aug():
    try:
        return "/gan_aug/" in sys._getframe(2).f_code.co_filename
    except ValueError:  # Python itself, at its start
        return False


def import_(name, *arguments, **named):
    if asked_by_gan_aug():
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}")
        if name in NAMES:
            return Poorer(name)
    return real_import(name, *arguments, **named)


def refuse_proc(real):
    def asked(path, *arguments, **named):
        if str(path).startswith("/proc") and asked_by_gan_aug():
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return real(path, *arguments, **named)
    return asked


builtins.__import__ = import_
pathlib.Path.read_text, os.stat = refuse_proc(pathlib.Path.read_text), refuse_proc(os.stat)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is nothing to take away")
def test_train_a_study_and_status_do_without_what_only_linux_has(
    tmp_path: Path, cache_home: Path
) -> None:
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(TAKEN_AWAY)
    env = environment(cache_home)
    env["PYTHONPATH"] = ":".join(filter(None, (str(hook), env.get("PYTHONPATH"))))

    def run(*arguments: str) -> str:
        result = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=tmp_path, env=env, capture_output=True, text=True,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    check = (
        "from gan_aug.runtime import lock\n"
        "assert not hasattr(lock.os, 'fork'); print(lock._place())"
    )
    place = subprocess.run([sys.executable, "-c", check], env=env, capture_output=True, text=True)
    assert place.stdout == f"{platform.node()}\n", place.stderr
    run("gan_aug.train", *TINY_CNN, "trainer.max_epochs=1", "hydra.run.dir=cnn")
    study = ("+study=seed_protocol", *TINY_STUDY, "quality.use=[]", "study_dir=s")
    printed = run("gan_aug.study", "-m", *study, "draw=0,1", "hydra.launcher.jobs=2")
    assert "2 jobs, 2 at a time" in printed
    assert "1 job: 1 done" in run("gan_aug.status", "study_dir=cnn")
    assert "2 jobs: 2 done" in run("gan_aug.status", "study_dir=s")
    threads = {read_json(p)["threads"] for p in tmp_path.glob("*/**/run.json")}
    assert threads == {1}
    assert (tmp_path / "s" / "report.html").exists()
