"""The pages that are made of code hold all of it, and what points to a page finds it."""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf
from support import PAGES, ROOT, composed

from gan_aug.__main__ import COMMANDS
from gan_aug.settings.design import METRICS

DOCS = ROOT / "docs"
STOPS = DOCS / "how-to" / "when_it_stops.md"
LEAST = 20
"""Letters in a row of a line that must stand in the source; what is between them is filled in."""
WIRING = {"_target_", "_partial_", "_recursive_", "kind", "module", "defaults", "hydra"}
"""Keys that say which class is built, and what it is built from."""
PLACES = {
    "data": "data", "trainer": "trainer", "callbacks": "callbacks", "quality": "quality",
    "logger": "logger", "extractor": "quality.extractor", "metric": "quality.metrics.NAME",
    "augment": "arms.NAME.augment", "gan_augment": "model.augment",
    "learner": "arms.NAME.learner", "hydra/launcher": "hydra.launcher",
    "hydra/sweeper": "hydra.sweeper",
}  # fmt: skip


@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, str]]:
    """The pages that mkdocs makes while it builds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS / "_make"))
        import commands_page
        import settings_page

        yield {"settings": settings_page.page(), "commands": commands_page.page()}
    for name in ("commands_page", "settings_page"):
        del sys.modules[name]


def leaves(node: Any, prefix: str = "", in_node: bool = False) -> Iterator[str]:
    """Yield the keys of settings that are no wiring: what a node takes from others is that."""
    in_node |= "_target_" in node
    for key, value in node.items():
        if key in WIRING or (in_node and str(value).startswith("${")):
            continue
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.", in_node)
        else:
            yield f"{prefix}{key}"


def as_listed(key: str) -> str:
    """Return the key of the page for one that is typed: NAME is an arm's, and so on."""
    key = re.sub(r"^(arms|quality\.metrics)\.\w+", r"\1.NAME", key)
    key = re.sub(r"^quality\.classifier\.", "classifier.", key)
    key = re.sub(r"^(arms\.NAME\.)(added\.augment|learner\.\w+)(?=\.\w+)", r"\1augment", key)
    return re.sub(r"((^|\.)(subset|count|condition|gate|good))\..*", r"\1", key)


@pytest.mark.parametrize(
    "command",
    [
        ("train",), ("train", "model=cnn"), ("study", "+study=own", "+arm@arms.x=fixmatch"),
        ("explain",), ("generate",), ("export",), ("report",), ("status",), ("inspect",),
    ],
)  # fmt: skip
def test_every_setting_that_a_command_has_is_listed(
    command: tuple[str, ...], made: dict[str, str]
) -> None:
    name, *chosen = command
    typed = OmegaConf.to_container(composed(name, *chosen), resolve=False)
    assert isinstance(typed, dict)
    of_classifier = {"model=cnn"} & {*chosen}
    for key in leaves(typed):
        listed = as_listed(re.sub("^model", "classifier", key) if of_classifier else key)
        assert f"| `{listed}=` |" in made["settings"], key


def test_every_setting_of_conf_is_listed_once(made: dict[str, str]) -> None:
    rows = re.findall(r"^\| `([^`]*)=` \| (.*?) \|", made["settings"], flags=re.M)
    assert len(rows) > 200
    # One word may be a setting of several commands, which are in the second column.
    assert [key for (key, _), n in Counter(rows).items() if n > 1] == []
    assert [key for key, n in Counter(key for key, _ in rows).items() if n > 1 and "." in key] == []
    listed = {key for key, _ in rows}
    for folder, place in PLACES.items():
        for path in (ROOT / "conf" / folder).glob("*.yaml"):
            for key in leaves(yaml.safe_load(path.read_text())):
                assert as_listed(f"{place}.{key}") in listed, (path, key)


def test_every_choice_and_every_command_is_listed(made: dict[str, str]) -> None:
    for group, typed in (("data", "data"), ("model", "model"), ("study", r"\+study")):
        names = {p.stem for p in (ROOT / "conf" / group).glob("*.yaml") if "base" not in p.stem}
        assert names == {*re.findall(rf"^\| `{typed}=(\w+)` \|", made["settings"], flags=re.M)}
    for name in COMMANDS:
        assert f"\n## {name}\n" in made["commands"]


def test_a_default_names_the_protocol_and_a_choice_its_whole_first_sentence(
    made: dict[str, str],
) -> None:
    row = r"^\| `data\.development_per_class=` \|.*`30` \(protocol=original\)"
    assert re.search(row, made["settings"], flags=re.M)
    assert "`{normal: 0, pneumonia: 100}` (protocol=original)" in made["settings"]
    assert not re.search(r"et al\. \|$|\?\. \|$", made["settings"], flags=re.M)


def test_every_extra_is_listed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (DOCS / "how-to" / "install.md").read_text()
    listed = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", text, flags=re.M)))
    assert {*listed} == project["optional-dependencies"].keys() - {"dev"}  # what a clone has


def test_every_metric_is_listed_with_what_is_good() -> None:
    text = (DOCS / "reference" / "metrics.md").read_text()
    for name in METRICS:
        assert f"\n| `{name}` |" in text
    told = dict(re.findall(r"^\| .*?\| `(\w+)` \| .*? \| (\w+) \| .*\|$", text, flags=re.M))
    good: dict[str, str] = {}
    for path in (ROOT / "conf" / "metric").glob("*.yaml"):
        assert f"| `{path.stem}` |" in text
        good |= yaml.safe_load(path.read_text())["good"]
    assert told == good


def test_error_lines_point_to_paragraphs_that_are_there() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    named = {*re.findall(r'\bsee\("([\w-]+)"\)', source)}
    named |= {*re.findall(r'^    paragraph = "([\w-]+)"', source, flags=re.M)}
    assert len(named) == 10
    headings = re.findall(r"^#+ (.*)$", STOPS.read_text(), flags=re.M)
    assert named <= {one.lower().replace(" ", "-") for one in headings}


def test_the_lines_are_those_that_commands_print() -> None:
    """What to do when it stops quotes them."""
    sources = (path.read_text() for path in (ROOT / "src" / "gan_aug").rglob("*.py"))
    source = re.sub(r'"\s*\n\s*f?"', "", "\n".join(sources))  # a text of several literals
    lines = re.findall(r"^(?:error|warning): (.*)$", STOPS.read_text(), flags=re.M)
    assert len(lines) > 30

    def is_said(line: str) -> bool:
        return any(line[i : i + LEAST] in source for i in range(0, len(line) - LEAST + 1, 4))

    assert [line for line in lines if not is_said(line)] == []


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "README.ko.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name
)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    """As a forge shows it, but for the pages that only the site has; anchors mkdocs checks."""
    of_site = [DOCS / "reference" / "settings.md", DOCS / "reference" / "commands.md"]
    for target in re.findall(r"\]\(([^()\s#]+)[^()\s]*\)", page.read_text()):
        file = (page.parent / target).resolve()
        made = page.is_relative_to(DOCS) and file in of_site
        assert ":" in target or made or file.exists(), target


def test_the_checker_of_style_finds_faults_and_leaves_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "_make"))
    from style import faults

    page = tmp_path / "page.md"
    long = "One " + "word " * 25
    sound = f"# Title\n\n```\n{long}\n```\n\nIt gave +1.4 (+0.8 to +2.0). Then {'word ' * 24}.\n"
    page.write_text(sound)
    assert list(faults(page)) == []
    page.write_text(f"{sound}\n{long}.\n\n- It was found to be used.\n- An arm, e.g. one.\n")
    found = [fault.removeprefix(str(page)) for fault in faults(page)]
    starts = (":9: 26 words", ":11: one passive", ":12: e.g. in place", ": says arm")
    assert len(found) == len(starts)
    assert all(map(str.startswith, found, starts))
