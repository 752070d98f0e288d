"""What mkdocs does beside its pages: it makes some from other files, and mends links out of docs/.

Pages link to files of the repository by relative paths, so that links work on a forge too. A link
to a file that is a page here becomes one to that page, one to a picture of experiments/ stays, and
of one to any other file the text and the path are left, as the site does not know where the
repository is served.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import commands_page
import settings_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
_LINK = re.compile(
    r"^```.*?^```|(?<!\\)(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)|`[^`\n]+`",
    re.DOTALL | re.MULTILINE,
)
"""Code, which is left alone, or a link, whose text may hold code."""
_FROM = {"CONTRIBUTING.md": "contributing.md", "README.md": "index.md"}
"""Files of the repository that a page stands for."""

MADE = {"reference/settings.md": settings_page.page, "reference/commands.md": commands_page.page}
"""Pages that are made of code and conf/."""


def page_of(path: str) -> str:
    """Return the place in the site of a file of the repository."""
    if found := re.fullmatch(r"experiments/(\w+)/README\.md", path):
        return f"experiments/{found[1]}.md"
    return _FROM.get(path, path.removeprefix("docs/"))


def made_from(place: str) -> str:
    """Return the file of the repository that a page is made from."""
    if found := re.fullmatch(r"experiments/(\w+)\.md", place):
        return f"experiments/{found[1]}/README.md"
    return "CONTRIBUTING.md" if place == "contributing.md" else f"docs/{place}"


def experiments() -> list[Path]:
    """Return the reports of experiments/."""
    return sorted(ROOT.glob("experiments/*/README.md"))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the experiments."""
    for entry in config.nav or []:
        if "Experiments" in entry:
            entry["Experiments"] = [f"experiments/{one.parent.name}.md" for one in experiments()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from other files, and the pictures of experiments/."""
    for path in (ROOT / "CONTRIBUTING.md", *experiments()):
        place = page_of(path.relative_to(ROOT).as_posix())
        files.append(File.generated(config, place, abs_src_path=str(path)))
    for path in sorted(ROOT.glob("experiments/**/*.png")):
        place = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, place, abs_src_path=str(path)))
    for place, made in MADE.items():
        files.append(File.generated(config, place, content=made()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Mend links to files of the repository, outside of code."""
    place = page.file.src_uri
    here = posixpath.dirname(made_from(place))

    def mend(link: re.Match[str]) -> str:
        mark, text, target = link.groups()
        if target is None:  # code
            return link[0]
        name, _, anchor = target.partition("#")
        if not name or ":" in name:
            return link[0]
        path = posixpath.normpath(posixpath.join(here, name))
        if files.get_file_from_path(page_of(path)) is not None:
            relative = posixpath.relpath(page_of(path), posixpath.dirname(place) or ".")
            return f"{mark}[{text}]({relative}{'#' * bool(anchor)}{anchor})"
        if (ROOT / path).exists() and not path.startswith("docs/"):
            return f"`{path}`" if text.strip("`") == path else f"{text} (`{path}`)"
        return link[0]

    return _LINK.sub(mend, markdown)
