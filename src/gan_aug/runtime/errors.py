"""What is meant for the person at the keyboard: the one exception, warnings, what to install."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from gan_aug.runtime.terminal import printable

EXTRA_OF = {
    "polars": "study",
    "captum": "explain",
    "kagglehub": "kaggle",
    "medmnist": "medmnist",
    "pydicom": "dicom",
    "submitit": "slurm",
    "optuna": "search",
    "pandas": "notebook",
    "timm": "timm",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "torch_fidelity": "extractors",
    "torchxrayvision": "extractors",
}
"""Each module that may be missing, and the extra that brings it."""


class GanAugError(Exception):
    """Bad input or a run that cannot go on.

    The message is one line: which file or key, what is wrong, what to do. The command line prints
    it without a traceback and exits with a code that is not 0; a notebook shows that line alone.

    Attributes:
        paragraph: of docs/how-to/when_it_stops.md, which says more; see `see`.
    """

    paragraph: str | None = None

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback."""
        return [error_line(one_line(self), self.paragraph)]


class Diverged(GanAugError):
    """Training came to nothing with these settings, and would again."""

    paragraph = "stopped"


@contextmanager
def see(paragraph: str) -> Iterator[None]:
    """Name the paragraph of the documentation that errors raised in here, or in a function, have.

    The innermost one that is named counts.
    """
    try:
        yield
    except GanAugError as error:
        error.paragraph = error.paragraph or paragraph
        raise


def error_line(message: str, paragraph: str | None) -> str:
    """Return what a person sees of an error, and where the documentation says more."""
    more = "" if paragraph is None else f" (see docs: when_it_stops#{paragraph})"
    return f"error: {printable(message)}{more}"


def one_line(error: BaseException) -> str:
    """Return the message meant for the user, on one line.

    Hydra wraps what a constructor raises; the innermost GanAugError is what the user can act on.
    """
    return said(innermost(error) or error) or type(error).__name__


def innermost(error: BaseException) -> GanAugError | None:
    """Return the first GanAugError among an error and its causes, None where there is none."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, GanAugError):
        found = found.__cause__
    return found


def said(error: BaseException, most: int | None = None) -> str:
    """Return an error's message on one line, of `most` characters at most."""
    return " ".join(str(error).split())[:most]


def said_of_file(error: BaseException) -> str:
    """Return what another library says of a damaged file, whose bytes it may quote."""
    printed = "".join(c if c.isprintable() else " " for c in str(error))
    return " ".join(printed.split())[:200] or type(error).__name__


def as_typed(value: object) -> str:
    """Return the value of a setting as a user types it: null, true."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def warn(message: str) -> None:
    """Print a line about something that the run goes on in spite of."""
    print(f"warning: {printable(' '.join(message.split()))}", file=sys.stderr, flush=True)


def require(module: str, asked: str) -> None:
    """Refuse to go on without a module, a key of `EXTRA_OF`, that needs installing.

    `asked` is the setting or command that needs it, as it was typed.
    """
    if (sys.modules[module] if module in sys.modules else find_spec(module)) is None:
        raise GanAugError(
            f"{asked}: needs the package {module}, which is not installed; "
            f"pip install 'gan_aug[{EXTRA_OF[module]}]'"
        )
