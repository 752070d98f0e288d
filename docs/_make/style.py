"""Check the English of pages: length of sentences, passive on passive, words of our own.

    python docs/_make/style.py PAGE.md ...

Code, tables and quoted output are not read. An interval counts as no word, code in a line as one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

MOST_WORDS = 25
PRIVATE = ("ruler", "gate", "arm", "arms", "phantom", "phantoms", "draw", "draws")
"""Words that have a meaning of their own here: a page that uses one links to the glossary."""
_CLIPPED = ("e.g.", "i.e.", "resp.", "w.r.t.", "cf.")
_NOT_READ = re.compile(r"^(```|~~~).*?^\1|<!--.*?-->|^(?: {4}|\t)(?![-*\d ]).*?$", re.M | re.S)
_PASSIVE = (
    r"\b(?:is|are|was|were|be|been|being) (?:\w+ly |not )?(?:\w+ed|taken|made|given|found|known)\b"
)
_CHAIN = re.compile(rf"{_PASSIVE}(?: \w+)? {_PASSIVE}")
_END = re.compile(
    r"(?<=[.!?])(?<!\b[A-Za-z]\.)(?<! al\.)(?<!vs\.)[\"')*_]*\s+(?=[\"'(*_`]*[A-Z`\d+-]|\*\w+\*)"
)


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Yield the paragraphs of a page with the number of their first line."""
    text = _NOT_READ.sub(lambda code: "\n" * code[0].count("\n"), text)
    said: list[str] = []
    first = 1
    for number, line in enumerate([*text.splitlines(), ""], 1):
        bare = re.sub(r"^\s*(?:[-*+]|\d+\.|>|#+|!!!.*|\*[^*]*:\*(?= ))(?:\s+|$)", "", line)
        ends = not line.strip() or line.lstrip().startswith("|")
        if said and (ends or bare != line or line.startswith("#")):
            yield first, " ".join(said)
            said = []
        if not ends and not line.startswith("#"):
            first = first if said else number
            said.append(bare.strip())


def words_of(sentence: str) -> list[str]:
    """Return the words of a sentence."""
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", sentence)
    plain = re.sub(r"`[^`]*`", "code", plain)
    plain = re.sub(r"\([^()]*\d[^()]*\bto\b[^()]*\)", "", plain)  # an interval
    return re.findall(r"[^\W\d_][\w'\u2019-]*|[+-]?\d[\d.,:%]*", plain)


def faults(page: Path) -> Iterator[str]:
    """Yield what is wrong with a page, a line each."""
    text = page.read_text("utf-8")
    used: set[str] = set()
    for line, paragraph in paragraphs(text):
        where = f"{page}:{line}"
        for sentence in _END.split(paragraph):
            words = words_of(sentence)
            used |= {word.casefold() for word in words}
            if len(words) > MOST_WORDS:
                yield f"{where}: {len(words)} words, {MOST_WORDS} at most: {sentence[:70]}..."
            if chain := _CHAIN.search(sentence):
                yield f"{where}: one passive after the other: {chain[0]}"
            for short in _CLIPPED:
                if short in sentence:
                    yield f"{where}: {short} in place of words"
    if (private := sorted(used & {*PRIVATE})) and "glossary" not in f"{page.name} {text}":
        yield f"{page}: says {', '.join(private)} and does not link to the glossary"


if __name__ == "__main__":
    found = [fault for name in sys.argv[1:] for fault in faults(Path(name))]
    sys.stdout.writelines(f"{fault}\n" for fault in found)
    sys.exit(bool(found))
