"""What every command shares: finding conf/, one-line errors, resuming, the table of a multirun."""

from __future__ import annotations

import functools
import io
import logging
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn

import hydra
from hydra._internal import utils as hydra_utils
from hydra.core.hydra_config import HydraConfig
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from gan_aug.runtime.arguments import for_hydra, quoting, with_list
from gan_aug.runtime.errors import Diverged, GanAugError, error_line, innermost, one_line, see
from gan_aug.runtime.hardware import lacks_memory
from gan_aug.runtime.launched import BUSY, DIVERGED, end_with_launcher, is_job
from gan_aug.runtime.record import Busy
from gan_aug.runtime.sweep_table import print_table
from gan_aug.runtime.terminal import ends_with_its_reader
from gan_aug.settings.groups import conf_dir
from gan_aug.settings.whole import Whole, validate
from gan_aug.settings.wording import unknown

_MERGING = "Error merging override "
"""What Hydra says of a value that cannot take the place of what is there."""
_TO_APPEND = "To append to your config use +"
"""What Hydra advises where nothing has the key of an override; it seldom is what is meant."""
_SEVERAL = re.compile("Sweep parameters '(.*)' requires --multirun")
_OPEN = ("callbacks", "logger", "quality.metrics", "study.condition")
"""Groups that take entries of one's own."""


class Terminated(SystemExit):
    """SIGTERM came: a Slurm time limit, say."""


class Outcome(NamedTuple):
    """The folder of what a command left, and its exit code."""

    folder: Path
    code: int


@dataclass(frozen=True)
class Command:
    """A Hydra command, whose errors are one line each; `command` makes it of a task.

    Called, as the command line does, it ends the process where it fails. HYDRA_FULL_ERROR=1 shows
    tracebacks.

    Attributes:
        task: is given the validated settings, and may return an exit code.
        config_name: of a configuration in conf/, whose settings they are.
        at_end: is called when all jobs are done, also when some failed; returns their common
            folder, if they have one.
        to_go_on: what a user does after the command was stopped.
        several: a setting that may have several values; the task is given a list, with -m and
            without.
    """

    task: Callable[[Any], int | None]
    config_name: str
    at_end: Callable[[], Path | None] = print_table
    to_go_on: str = "repeat the command with resume=true to go on"
    several: str | None = None

    def __call__(self) -> None:
        """Run what stands on the command line; exit with a code that is not 0 where that fails."""
        with ends_with_its_reader():
            # Without this SIGTERM would end the process between two fits with nothing recorded.
            signal.signal(signal.SIGTERM, _terminate)
            end_with_launcher()
            try:
                code = self._run().code
            except KeyboardInterrupt:
                _fail(f"stopped by hand; {self.to_go_on}", 130, "stopped")
            except SystemExit as error:
                if type(error) is SystemExit:
                    raise
                # Lightning's SIGTERMException, like ours, would exit with 0.
                _fail(f"stopped by SIGTERM; {self.to_go_on}", 143, "stopped")
            except BrokenPipeError:
                raise
            except Exception as error:
                if _shows_tracebacks():
                    raise
                # What tells a launcher how its job failed; a person's command fails with 1.
                codes = {Busy: BUSY, Diverged: DIVERGED} if is_job() else {}
                _fail(message_of(error), codes.get(type(error), 1), _paragraph_of(error))
        if code:
            sys.exit(code)

    def run(self, arguments: Sequence[str]) -> Path:
        """Run it within a process that goes on; return the folder of what it leaves.

        `arguments` are what stands after the command on the command line.

        Raises:
            GanAugError: what the command line would print after "error:".
        """
        with _command_line(arguments):
            try:
                return self._run().folder
            except GanAugError:
                raise
            except SystemExit as error:
                if type(error) is not SystemExit:  # SIGTERM came
                    raise
                typed = " ".join(arguments)
                raise GanAugError(f"{typed}: runs nothing; type it on the command line") from error
            except Exception as error:
                if _shows_tracebacks():
                    raise
                ours = GanAugError(message_of(error))
                ours.paragraph = _paragraph_of(error)
                raise ours from error

    def _run(self) -> Outcome:
        """Run what sys.argv says."""
        # Threads that spin while they wait starve each other when the machine is shared: a DCGAN
        # step beside one busy process took 0.48 s with the default and 0.30 s with this.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        # Of fonts that matter pages/figure.py speaks itself.
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        try:
            _check_encoding()
            sys.argv[1:] = for_hydra(sys.argv[1:], self.to_go_on)
            if self.several is not None:
                sys.argv[1:] = with_list(sys.argv[1:], self.several)
            outcome = _run_hydra(self.task, self.config_name)
        finally:
            of_all = None if is_job() else self.at_end()
        return outcome if of_all is None else outcome._replace(folder=of_all.absolute())


def command(config_name: str, **more: Any) -> Callable[[Callable[[Any], int | None]], Command]:
    """Make a command of a task; `more` are attributes of `Command`."""
    return lambda task: Command(task, config_name, **more)


def _shows_tracebacks() -> bool:
    return os.environ.get("HYDRA_FULL_ERROR") == "1"


def message_of(error: Exception) -> str:
    """Return what the person at the keyboard is told of an error, on one line."""
    message = one_line(error)
    if isinstance(error, OverrideParseException):
        return quoting(error.override)
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        return f"{group}={name}: is none of {', '.join(error.options)}; name one of them"
    if swept := _SEVERAL.search(message):
        return f"{swept[1]}: several values need -m before them, as in -m {shlex.quote(swept[1])}"
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key}: is missing; type {error.full_key}=VALUE"
    if isinstance(error, ConfigCompositionException) and _TO_APPEND in str(error):
        argument = str(error).partition(_TO_APPEND)[2].strip()
        return _unknown(argument, error.__cause__) or message
    if isinstance(error, ConfigCompositionException) and message.startswith(_MERGING):
        reason = one_line(error.__cause__ or error)
        return (
            f"{message.removeprefix(_MERGING)}: cannot stand there ({reason}); write a value of "
            "the kind that conf/ has there"
        )
    if isinstance(error, ValueError) and "embedded null " in message:
        return (
            "hydra.run.dir: the name of the run's folder holds a NUL character; set "
            "hydra.run.dir=DIR"
        )
    if not isinstance(error, GanAugError) and lacks_memory(error):
        return (
            f"not enough memory ({message}); lower data.image_size, data.batch_size, the widths or "
            "the number of images, or raise the limit (ulimit -v, a cluster's mem_gb)"
        )
    if (refused := _refused_file(error)) is not None:
        return (
            f"{refused.filename}: {refused.strerror}; name another file or folder, or mend this "
            "one, and repeat the command"
        )
    if isinstance(error, GanAugError | HydraException | OmegaConfBaseException):
        return message
    return f"{type(error).__name__}: {message} (HYDRA_FULL_ERROR=1 shows the traceback)"


def _unknown(argument: str, cause: BaseException | None) -> str | None:
    """Return what to say of an override that Hydra refuses because nothing has its key."""
    if not isinstance(cause, OmegaConfBaseException) or cause.parent_node is None:
        return None
    node = cause.parent_node
    known = [str(key) for key in node] if isinstance(node, DictConfig) else []
    parent, _, name = str(cause.full_key or "").rpartition(".")
    adds = f"; +{argument} adds one" if "_target_" in known or parent in _OPEN else ""
    return f"{argument}: {unknown(parent, name, known)}{adds}"


def _refused_file(error: Exception) -> OSError | None:
    """Return the error that names a file, where no message for the user was made of it.

    logging says of a log that cannot be opened only that its handler cannot be configured.
    """
    cause: BaseException | None = error
    while cause and not isinstance(cause, GanAugError | HydraException | OmegaConfBaseException):
        if isinstance(cause, OSError) and cause.filename is not None:
            return cause
        cause = cause.__cause__
    return None


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not stop the recording
    raise Terminated(143)


@contextmanager
def _command_line(arguments: Sequence[str]) -> Iterator[None]:
    """Lend a command this process' arguments, and take back what it changes beside them."""
    import matplotlib  # figures choose fonts for all that follow

    root = logging.getLogger()
    typed, handlers, level = sys.argv, root.handlers[:], root.level
    sys.argv = ["gan-aug", *arguments]
    try:
        with matplotlib.rc_context(), _torch_as_it_was():
            yield
    finally:
        sys.argv, root.handlers[:] = typed, handlers
        root.setLevel(level)


@contextmanager
def _torch_as_it_was() -> Iterator[None]:
    """Take back what fits set of torch for the whole process; it need not be loaded yet."""
    threads, exact, warns, fastest = None, False, False, False  # as it comes
    if (torch := sys.modules.get("torch")) is not None:
        threads, exact = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        warns = torch.is_deterministic_algorithms_warn_only_enabled()
        fastest = torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        if (torch := sys.modules.get("torch")) is not None:
            torch.use_deterministic_algorithms(exact, warn_only=warns)
            torch.backends.cudnn.benchmark = fastest
            if threads is not None:
                torch.set_num_threads(threads)


def _run_hydra(task: Callable[[Any], int | None], config_name: str) -> Outcome:
    """Run the task, unless that is done by other processes; of several runs the last one counts."""
    failure: list[Exception] = []
    outcome = Outcome(Path.cwd(), 0)

    @functools.wraps(task)
    def quiet(cfg: DictConfig) -> object:
        nonlocal outcome
        try:
            from gan_aug.settings.commands import kind_of  # of no use to --help

            with see("settings"):
                settings = validate(cfg, kind_of(config_name))
            outcome = Outcome(_folder_of(settings).absolute(), task(settings) or 0)
            return None
        except SystemExit as error:
            # Lightning turns Ctrl-C into exit(1).
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
        except Exception as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # Hydra names the job, goes on with the others and raises at the end
            failure.append(error)  # past Hydra, which would print lines of its own
            return None

    with_hydra = hydra.main(str(conf_dir()), config_name, version_base="1.3")(quiet)
    report = hydra_utils.run_and_report
    hydra_utils.run_and_report = lambda func: func()  # it would print several lines, and exit
    try:
        with_hydra()
    finally:
        hydra_utils.run_and_report = report
    if failure:
        raise failure[0]
    return outcome


def _folder_of(settings: Whole) -> Path:
    """Return the folder that a command's settings name, else the one that Hydra chose for it."""
    for key in ("output_dir", "study_dir"):
        if (named := getattr(settings, key, None)) is not None:
            return Path(named).expanduser()
    return Path(HydraConfig.get().runtime.output_dir)


def _paragraph_of(error: Exception) -> str | None:
    """Return the paragraph of the documentation that says more of an error; None: none does."""
    if (ours := innermost(error)) is not None:
        return ours.paragraph
    if isinstance(error, HydraException | OmegaConfBaseException):
        return "settings"
    return "disk" if lacks_memory(error) or _refused_file(error) else None


def _fail(message: str, code: int, paragraph: str | None) -> NoReturn:
    print(error_line(message, paragraph), file=sys.stderr)
    sys.exit(code)


def _check_encoding() -> None:
    """Check that names of files are read as UTF-8; print anything, whatever the terminal has."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if (encoding := sys.getfilesystemencoding().lower()) != "utf-8":
        raise GanAugError(
            f"PYTHONUTF8: Python takes names of files for {encoding} here, and would misread "
            "others; set PYTHONUTF8=1"
        )
