"""What a report says first, in the terminal."""

from __future__ import annotations

import shutil
import textwrap

from gan_aug.report.summary import Answer

MOST_COLUMNS = 100


def print_answer(answer: Answer) -> None:
    """Print the sentences that the page begins with, folded at the terminal's edge."""
    for sentence in (*answer.careful, answer.question):
        _print(sentence)
    for title, sentences in (
        ("Answer", answer.verdicts),
        ("Also shown, on the declared endpoints", answer.shown),
        ("What limits it", answer.limits),
        ("What was done", answer.done),
    ):
        if sentences:
            print(f"\n{title}")
        for sentence in sentences:
            _print(sentence, "- ")
    print()


def _print(sentence: str, bullet: str = "") -> None:
    width = min(MOST_COLUMNS, shutil.get_terminal_size((MOST_COLUMNS, 24)).columns)
    print(
        textwrap.fill(
            sentence,
            width,
            initial_indent=bullet,
            subsequent_indent=" " * len(bullet),
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
