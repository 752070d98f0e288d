"""`python -m gan_aug.report`: the report of a study, again at any time."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gan_aug.runtime.command_line import command
from gan_aug.runtime.errors import require

if TYPE_CHECKING:
    from gan_aug.report.summary import Answer
    from gan_aug.settings.commands import ReportSettings

FIRST_S, EVERY_S = 2.0, 5.0
"""After how long a report says what it is at, and how often again."""
MOST_COLUMNS = 100


@command("report", to_go_on="repeat the command")
def main(settings: ReportSettings) -> None:
    """Read all finished draws of `study_dir` and write the report there."""
    require("polars", "report")
    archive = None if settings.archive is None else Path(settings.archive).expanduser()

    say = Patience()

    from gan_aug.report.build import write_report

    report = write_report(Path(settings.study_dir).expanduser(), archive, say)
    print_answer(report.answer)
    print(f"report      {report.page}")
    if archive is not None:
        print(f"archive     {archive}")


def print_answer(answer: Answer) -> None:
    """Print the sentences that the page begins with, folded at the terminal's edge."""
    for title, bullet, sentences in (
        (None, "", [*answer.careful, answer.question]),
        ("Answer", "- ", answer.verdicts),
        ("Also shown, on the declared endpoints", "- ", answer.shown),
        ("What limits it", "- ", answer.limits),
        ("What was done", "- ", answer.done),
    ):
        if title is not None and sentences:
            print(f"\n{title}")
        width = min(MOST_COLUMNS, shutil.get_terminal_size((MOST_COLUMNS, 24)).columns)
        folded = textwrap.TextWrapper(
            width,
            initial_indent=bullet,
            subsequent_indent=" " * len(bullet),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for sentence in sentences:
            print(folded.fill(sentence))
    print()


class Patience:
    """Says what is being done, as soon as it takes long and then now and then."""

    def __init__(self) -> None:
        self._next = time.monotonic() + FIRST_S

    def __call__(self, what: str) -> None:
        """Print a line, unless the last one is fresh."""
        if time.monotonic() >= self._next:
            print(f"{what} ...", file=sys.stderr, flush=True)
            self._next = time.monotonic() + EVERY_S


if __name__ == "__main__":
    main()
