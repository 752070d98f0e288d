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
from collections.abc import Callable
from errno import ENOMEM
from pathlib import Path
from types import FrameType
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from gan_aug.run.errors import Diverged, GanAugError, warn
from gan_aug.run.launched import BUSY, DIVERGED, end_with_launcher, is_job, take_over_errors
from gan_aug.run.pipes import ends_with_its_reader
from gan_aug.run.record import Busy, one_line, runs_of
from gan_aug.run.renames import renamed_argument
from gan_aug.run.shape import check_arguments, check_shape, quoting_of_package
from gan_aug.run.sweep_table import print_table
from gan_aug.run.terminal import printable
from gan_aug.run.unknown_settings import check_additions, unknown_override

Task = Callable[[DictConfig], object]
_MERGING = "Error merging override "
"""What Hydra says of a value that cannot take the place of what is there."""
_TO_APPEND = "To append to your config use +"
"""What Hydra advises where nothing has the key of an override; it seldom is what is meant."""


class Terminated(SystemExit):
    """SIGTERM came: a Slurm time limit, say."""


def conf_dir() -> Path:
    """Return the configuration folder: inside an installed wheel, or at the top of the source."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "conf"
    return shipped if shipped.is_dir() else package.parents[1] / "conf"


def command(
    config_name: str,
    at_end: Callable[[], None] = print_table,
    to_go_on: str = "repeat the command with resume=true to go on",
) -> Callable[[Task], Callable[[], None]]:
    """Make a Hydra command of a task, with errors on one line and an exit code that is not 0.

    HYDRA_FULL_ERROR=1 shows tracebacks.

    Args:
        config_name: the configuration in conf/.
        at_end: called when all jobs are done, also when some failed.
        to_go_on: what a user does after the command was stopped.
    """

    def decorate(task: Task) -> Callable[[], None]:
        @ends_with_its_reader()
        def main() -> None:
            show_traceback = take_over_errors()
            # Threads that spin while they wait starve each other when the machine is shared: a
            # DCGAN step beside one busy process took 0.48 s with the default and 0.30 s with this.
            os.environ.setdefault("GOMP_SPINCOUNT", "1000")
            # Of fonts that matter pages/figure.py speaks itself.
            logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
            # Without this SIGTERM would end the process between two fits with nothing recorded.
            signal.signal(signal.SIGTERM, _terminate)
            end_with_launcher()
            try:
                try:
                    _check_encoding()
                    arguments = _checked_options(
                        [_as_hydra_takes_it(a) for a in joined([_current(a) for a in sys.argv[1:]])]
                    )
                    check_arguments(arguments, conf_dir())
                    _refuse_resume(arguments, to_go_on)
                    sys.argv[1:] = _with_folder_to_resume(arguments)
                    _run_hydra(task, config_name)
                finally:
                    if not is_job():
                        at_end()
            except KeyboardInterrupt:
                _fail(f"stopped by hand; {to_go_on}", 130)
            except SystemExit as error:
                if type(error) is SystemExit:
                    raise
                # Lightning's SIGTERMException, like ours, would exit with 0.
                _fail(f"stopped by SIGTERM; {to_go_on}", 143)
            except BrokenPipeError:
                raise
            except Exception as error:
                if show_traceback:
                    raise
                _fail(message_of(error), _exit_code(error))

        return main

    return decorate


def _exit_code(error: Exception) -> int:
    """Return what tells a launcher how its job failed; a person's command fails with 1."""
    codes = {Busy: BUSY, Diverged: DIVERGED}
    return codes.get(type(error), 1) if is_job() else 1


def message_of(error: Exception) -> str:
    """Return what the person at the keyboard is told of an error, on one line."""
    message = one_line(error)
    if isinstance(error, OverrideParseException):
        return quoting(error.override)
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        return f"{group}={name}: is none of {', '.join(error.options)}; name one of them"
    if isinstance(error, ConfigCompositionException) and _TO_APPEND in str(error):
        argument = str(error).partition(_TO_APPEND)[2].strip()
        return unknown_override(argument, error.__cause__) or message
    if isinstance(error, ConfigCompositionException) and message.startswith(_MERGING):
        reason = one_line(error.__cause__ or error)
        return (
            f"{message.removeprefix(_MERGING)}: cannot stand there ({reason}); write a value of "
            "the kind that conf/ has there"
        )
    if isinstance(error, ValueError) and message == "embedded null byte":
        return (
            "hydra.run.dir: the name of the run's folder holds a NUL character; set "
            "hydra.run.dir=DIR"
        )
    if _lacks_memory(error):
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


def _lacks_memory(error: Exception) -> bool:
    """Tell whether there was too little memory, which libraries say in words of their own."""
    if isinstance(error, GanAugError):
        return False
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == ENOMEM):
        return True
    said = ("can't allocate memory", "out of memory", "failed to map segment", "new thread")
    return any(words in str(error) for words in said)


def _refused_file(error: Exception) -> OSError | None:
    """Return the error that names a file, where no message for the user was made of it.

    logging says of a log that cannot be opened only that its handler cannot be configured.
    """
    found: BaseException | None = error
    while found and not isinstance(found, GanAugError | HydraException | OmegaConfBaseException):
        if isinstance(found, OSError) and found.filename is not None:
            return found
        found = found.__cause__
    return None


def quoted(key: str, value: object) -> str:
    """Return KEY="VALUE" as Hydra's grammar takes any value."""
    # Its only escapes are backslashes before a quote.
    text = re.sub(r'(\\*)("|$)', lambda m: 2 * m[1] + ('\\"' if m[2] else ""), str(value))
    return f'{key}="{text}"'


def quoting(argument: str) -> str:
    """Say how to write an argument that Hydra's grammar refuses (facebookresearch/hydra 1.3)."""
    key, equals, value = argument.partition("=")
    if (of_package := quoting_of_package(argument)) is not None:
        return of_package
    if not equals or not key.isascii() or " " in key:
        return f"{argument}: is no setting; write KEY=VALUE, as in data.root=DIR"
    return (
        f"{argument}: its value has letters that need quotes (spaces, Korean, ' = {{ }} and the "
        f"like), or lacks a closing bracket; type {shlex.quote(quoted(key, value))}"
    )


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not stop the recording
    raise Terminated(143)


def _run_hydra(task: Task, config_name: str) -> None:
    failure: list[Exception] = []

    def compose(overrides: list[str]) -> DictConfig:
        loader = GlobalHydra.instance().config_loader()
        name = HydraConfig.get().job.config_name  # --config-name may give another
        return loader.load_configuration(name, overrides, RunMode.RUN)

    @functools.wraps(task)
    def quiet(cfg: DictConfig) -> object:
        try:
            check_shape(cfg, conf_dir())
            check_additions(cfg, HydraConfig.get(), compose)
            return task(cfg)
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

    hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)(quiet)()
    if failure:
        raise failure[0]


def _fail(message: str, code: int) -> NoReturn:
    print(f"error: {printable(message)}", file=sys.stderr)
    sys.exit(code)


def _check_encoding() -> None:
    """Check that names of files are read as UTF-8; print anything, whatever the terminal has.

    Raises:
        GanAugError: they are not.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if (encoding := sys.getfilesystemencoding().lower()) != "utf-8":
        raise GanAugError(
            f"PYTHONUTF8: Python takes names of files for {encoding} here, and would misread "
            "others; set PYTHONUTF8=1"
        )


def _checked_options(arguments: list[str]) -> list[str]:
    """Put -m in front, and refuse unknown options in one line; argparse would print its usage."""
    # It also takes no settings on both sides of an option.
    multirun = [a for a in arguments if a in ("-m", "--multirun")]
    ordered = [*multirun, *(a for a in arguments if a not in multirun)]
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise GanAugError(f"{message}; --help and --hydra-help list what there is")

    parser.error = refuse  # type: ignore[method-assign]
    parser.parse_args(ordered)
    return ordered


_COUNTS = r"(?:data\.subset|study\.count|arms\.[^.=]+\.added\.count)"
_ONE_CLASS = re.compile(
    rf"\+*(?P<key>{_COUNTS}|study\.ruler|arms\.[^.=]+\.real)\.(?P<name>[^=]+)=(?P<value>.*)"
)
_KEY = re.compile(r"[A-Za-z_]\w*|0|[1-9]\d*", re.ASCII)
_NAMES = (
    r"(data\.(positive|train_class|classes|columns)|model\.pair|study\.(rare|ruler|endpoints)|"
    r"arms\.[^.=]+\.real)"
)
"""Settings that count by class, and others that name classes, or columns of a table."""


def _current(argument: str) -> str:
    """Return an argument with the name that its setting has today, and say so once."""
    now = renamed_argument(argument)
    if now != argument:
        warn(f"{argument}: is called {now} now; the old name will go with the next version")
    return now


def joined(arguments: list[str]) -> list[str]:
    """Return arguments in which KEY.CLASS=VALUE is part of a mapping, where Hydra needs that.

    Its keys have no Korean letters, spaces or dots, and one would take the place of KEY={...}.
    """
    single: dict[str, list[int]] = {}
    for i, argument in enumerate(arguments):
        if one := _ONE_CLASS.fullmatch(argument):
            single.setdefault(one["key"], []).append(i)
    kept: list[str | None] = [*arguments]
    for key, places in single.items():
        whole = [i for i, argument in enumerate(arguments) if argument.startswith(f"{key}={{")]
        parts = {i: arguments[i].partition("=")[2].strip() for i in sorted([*whole, *places])}
        names = {i: one["name"] for i in places if (one := _ONE_CLASS.fullmatch(arguments[i]))}
        are_keys = re.fullmatch(_COUNTS, key) and all(map(_KEY.fullmatch, names.values()))
        if (are_keys and not whole) or any(len(_choices(part)) > 1 for part in parts.values()):
            continue
        inner = [
            "'{}': {}".format(names[i].replace("'", "''"), part) if i in names else part[1:-1]
            for i, part in parts.items()
        ]
        for i in parts:
            kept[i] = None
        kept[max(parts)] = f"{key}={{{', '.join(inner)}}}"
    return [argument for argument in kept if argument is not None]


def _as_hydra_takes_it(argument: str) -> str:
    r"""Return an argument that Hydra's grammar takes, where it is clear what is meant.

    data.subset.CLASS=N may name any class: which there are, only the data set knows. A mapping
    takes the place of the one there was and may name classes in any letters, as data.positive=NAME
    may, and data.patient_regex=(\d+)_.* may be typed as it is.
    """
    key, _, value = argument.partition("=")
    if re.fullmatch(rf"{_COUNTS}\.[^.]+", key) and key.isascii():
        return f"++{argument}"
    bare = key.lstrip("+")
    counts = re.fullmatch(_COUNTS, bare) and value.startswith("{")
    if counts or (re.fullmatch(_NAMES, bare) and not _is_grammatical(argument)):
        # As text, which replaces a mapping that was there; of a sweep there are several.
        return f"{key}=" + ",".join(quoted("", choice)[1:] for choice in _choices(value))
    if key == "data.patient_regex" and value != "null" and value[:1] not in ("'", '"'):
        return quoted(key, value)
    return argument


def _is_grammatical(argument: str) -> bool:
    """Tell whether Hydra takes it, and keeps the keys of a mapping as they were typed."""
    try:
        value = OverridesParser.create().parse_override(argument).value()
    except HydraException:
        return False
    return not isinstance(value, dict) or all(isinstance(key, str) for key in value)


def _choices(value: str) -> list[str]:
    """Return the choices of a sweep: what stands between commas that no bracket encloses."""
    found, depth = [""], 0
    for letter in value:
        depth += (letter in "[{(") - (letter in "]})")
        if letter == "," and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return [choice.strip() for choice in found]


def _refuse_resume(arguments: list[str], to_go_on: str) -> None:
    """Refuse resume= in a command that goes on without it."""
    given = [a for a in arguments if a.lstrip("+").startswith("resume=")]
    if given and "resume=" not in to_go_on:
        raise GanAugError(f"{given[0]}: is no setting of this command; {to_go_on}, without it")


def _with_folder_to_resume(arguments: list[str]) -> list[str]:
    """Point `resume=true` at the folder of the latest run of the same command under runs/."""
    given = any(a.startswith(("hydra.run.dir=", "hydra.sweep.dir=")) for a in arguments)
    if "resume=true" not in [a.lower() for a in arguments] or given:
        return arguments
    found = sorted(runs_of(arguments, Path("runs")), key=lambda run: run[0])
    if not found:
        raise GanAugError(
            "resume=true: no run of this command under runs/; repeat the command exactly, in the "
            "same folder, or name the run with hydra.run.dir=DIR"
        )
    _, folder, record = found[-1]
    if record.sweep_folder is not None:
        return [*arguments, quoted("hydra.sweep.dir", record.sweep_folder)]
    return [*arguments, quoted("hydra.run.dir", folder)]
