"""The first screen answers what was asked: on what was declared, in its order, in one logic."""

from __future__ import annotations

import html
import re
import time
from pathlib import Path
from typing import Any

import pytest
from fake_study import Reported, change, report_of, summary_of, write_study
from matplotlib.figure import Figure
from matplotlib.text import Text
from pages_check import check_contents, overlapping, wider_than_a_phone
from PIL import Image

from gan_aug.report.__main__ import Patience, print_answer
from gan_aug.report.build import _made_from
from gan_aug.report.drawing import COLOURS, palette
from gan_aug.report.figures import all_figures
from gan_aug.report.read import read_study
from gan_aug.report.ruler_figure import _apart
from gan_aug.report.summary import Answer, summarise

ENDPOINTS = [
    {"split": "internal", "metric": "auroc", "smallest_effect": 0.01},
    {"split": "internal", "metric": "accuracy", "smallest_effect": 0.01},
]
BLIND = {f"ruler_{25 * 2**i}": 0.0 for i in range(4)}
"""More real images change nothing that can be seen."""
MRI = {"real": 0.0, "classic": 0.06, "classic_gan": 0.02, "gan": 0.0}
"""Classic helps, GAN images beside it take some of that away again."""


def first_screen(page: str) -> str:
    """Return the words of a page above its tables."""
    part = page[page.index("<h1>") : page.index('<h2 id="the-declared-endpoints">')]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", part)))


@pytest.fixture(scope="module")
def mri(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """Two declared endpoints, the first blind, on which classic_gan is worse than classic."""
    folder = tmp_path_factory.mktemp("mri")
    write_study(folder, MRI | BLIND, draws=8, endpoints=ENDPOINTS)
    (folder / "draw_0" / "grids").mkdir()
    for kind in ("real", "synthetic"):
        Image.new("L", (8, 8)).save(folder / "draw_0" / "grids" / f"{kind}_pneumonia.png")
    return report_of(folder, figures=True)


def test_declared_endpoints_are_answered_in_their_order(mri: Reported) -> None:
    assert [line.partition(":")[0] for line in mri.answer["verdicts"]] == [
        "Internal AUROC (primary)", "Internal accuracy at 0.5 (secondary)"
    ]  # fmt: skip
    screen = first_screen(mri.page)
    order = ["Is gan (title of gan) better than real", *mri.answer["verdicts"], "What limits it"]
    order += [*mri.answer["limits"], "Also shown", *mri.answer["shown"], "What was done"]
    places = [screen.index(part) for part in order]
    assert places == sorted(places)


def test_the_contents_lead_to_every_part(mri: Reported) -> None:
    titles = check_contents(mri.page)
    assert {"What limits it", "The arms", "Rules of measurement"} <= set(titles)
    parts = (">Exploratory: not declared</h2>", "<h3>Learning curves</h3>")
    assert mri.page.index(parts[0]) < mri.page.index(parts[1])


@pytest.mark.slow
def test_a_phone_shows_the_page(mri: Reported, tmp_path: Path) -> None:
    assert wider_than_a_phone(mri.page, tmp_path) == []


def test_a_difference_on_a_blind_endpoint_is_told_with_both_facts(mri: Reported) -> None:
    (said,) = (
        line
        for line in mri.answer["shown"]
        if line.startswith("Internal AUROC (primary): classic_gan is worse than classic")
    )
    assert "although more real images are not shown to move this endpoint: -" in said
    assert said.count(". ") == 0  # one sentence


def test_all_declared_results_that_are_significant_are_told(mri: Reported) -> None:
    asked = ("gan", "real")
    shown = {
        (v["endpoint"]["metric"], v["arm"], v["word"], v["reference"])
        for v in mri.summary["verdicts"]
        if v["word"] in ("better", "worse") and (v["arm"], v["reference"]) != asked
    }
    assert ("accuracy", "classic", "better", "real") in shown
    names = {
        "Internal AUROC (primary)": "auroc",
        "Internal accuracy at 0.5 (secondary)": "accuracy",
    }
    told = set()
    for line in mri.answer["shown"]:
        endpoint, arm, word, reference = re.match(  # type: ignore[union-attr]
            r"(.+?): (\w+) is (\w+) than (\w+)", line
        ).groups()
        told.add((names[endpoint], arm, word, reference))
    assert told == shown


def test_what_cannot_tell_is_never_followed_by_a_worth(mri: Reported) -> None:
    screen = first_screen(mri.page)
    assert "cannot tell, neither gan in place of real nor more real images are shown" in screen
    assert "worth" not in screen


def test_exploratory_numbers_stand_under_that_heading_alone(tmp_path: Path) -> None:
    rises = {arm: 0.02 * (i - 1) for i, arm in enumerate(BLIND)}
    effects = {"real": 0.0, "duplicate": 0.0, "gan": 0.02} | rises
    folder = write_study(tmp_path, effects, draws=6, endpoints=ENDPOINTS[:1])
    _, summary, page = report_of(folder)
    undeclared = [
        one["arms"]["gan"]["worth"]
        for one in summary["worth"]
        if (one["split"], one["metric"]) != ("internal", "auroc")
    ]
    assert undeclared
    worths = [line for line in summary["answer"]["exploratory"] if "would be worth" in line]
    assert all(any(worth in line for line in worths) for worth in undeclared)
    before, _, after = page.partition(">Exploratory: not declared</h2>")
    for line in summary["answer"]["exploratory"]:
        assert line.startswith("Not declared: ")
        assert html.escape(line, quote=False) not in before
        assert html.escape(line, quote=False) in after
    for heading in ("All metrics", "Worth in real images, by other measures"):
        assert f"<h3>{heading}</h3>" not in before
        assert f"<h3>{heading}</h3>" in after


def test_the_terminal_says_what_the_page_says(
    mri: Reported, capsys: pytest.CaptureFixture[str]
) -> None:
    print_answer(Answer(**mri.answer))
    printed = re.sub(r"\s+", " ", capsys.readouterr().out)
    found = mri.answer
    for line in (found["question"], *found["verdicts"], *found["shown"], *found["done"]):
        assert line in printed
    assert found["exploratory"][0] not in printed


def test_what_was_done_is_told(tmp_path: Path) -> None:
    write_study(tmp_path, {"real": 0.0, "gan": 0.0}, draws=6, repeats=3)

    used = {"train": {"normal": 200, "pneumonia": 200}}
    used["validation"] = {"normal": 52, "pneumonia": 53}
    method = {"batch_size": 32, "classifier": "resnet18", "gan": "wgan_gp"}
    method |= {"gan_batch_size": 32, "gan_select": "kid"}
    for path in tmp_path.glob("*/metrics.json"):
        change(path, lambda m: m["method"].update(method))
        change(path.with_name("run.json"), lambda r: r["data"].update(used=used))
    images, classifier, gans, chosen, machine = summary_of(tmp_path)["answer"]["done"]
    assert images.startswith("6 draws of the data set fake")
    assert "200 + 200 for training, 52 + 53 for validation" in images
    assert "64x64 pixels in grey" in images
    assert classifier == "Classifier: resnet18, 3 fits an arm and draw, 20 steps of 32 images each."
    assert gans == "GANs: 6 (wgan_gp), 5 batches of 32 images each."
    assert "52 + 53 labelled validation images choose each fit's threshold, each GAN's" in chosen
    assert machine.startswith("Machine: m. It took: a GAN 9.0 s")


def texts_of(drawn: Figure) -> list[Text]:
    """Return what is written in a figure, and can be seen."""
    found = drawn.findobj(Text)
    return [text for text in found if isinstance(text, Text) and text.get_text()]


def test_figures_are_of_what_was_declared_with_nothing_written_over_data(mri: Reported) -> None:
    study = read_study(mri.folder)
    drawn = all_figures(study, summarise(study))
    written = [text.get_text() for figure in drawn.values() if figure for text in texts_of(figure)]
    assert not any("`" in text for text in written)
    assert "`" not in mri.page
    for name, figure in drawn.items():
        assert figure is None or overlapping(figure) == [], name
    names = {name for name, figure in drawn.items() if figure is not None}
    assert {path.stem for path in (mri.folder / "figures").iterdir()} == names
    ruler = drawn["ruler"]
    assert ruler is not None
    panels = [axes.get_ylabel() for axes in ruler.axes if axes.get_ylabel()]
    assert panels == ["internal AUROC, %", "internal accuracy, %"]
    ruler.draw_without_rendering()
    for axes in ruler.axes:
        inside = axes.get_window_extent()
        for text in axes.texts:
            assert not inside.overlaps(text.get_window_extent())


def test_ticks_that_have_no_room_are_not_written_over_each_other() -> None:
    assert _apart([25, 50, 60, 100], own=60) == ["25", "", "60", "100"]
    assert _apart([25, 50, 100], own=70) == ["25", "50", "100"]


def test_sheets_of_images_say_what_they_show(mri: Reported) -> None:
    page = mri.page
    for title in ("real, pneumonia; draw 0", "generated, pneumonia; draw 0"):
        assert f"<figcaption>{title} (the first 64, not picked)</figcaption>" in page


def test_an_arm_has_one_colour_in_all_figures() -> None:
    arms = [f"arm {i}" for i in range(8)] + ["real", "gan_50", "gan_100", "ruler_25"]
    found = palette(arms)
    assert found["real"] == COLOURS[0]
    assert found["gan_50"] == found["gan_100"] == found["gan"]
    assert len({found[arm] for arm in arms}) == len(arms) - 1


@pytest.mark.parametrize(
    ("sources", "title"), [([], "pneumonia"), (["normal"], "normal -> pneumonia")]
)
def test_images_that_were_translated_say_from_what(
    sources: list[str], title: str, mri: Reported
) -> None:
    job = read_study(mri.folder).jobs[0]
    job.result.gans["pneumonia"].sources.extend(sources)
    assert _made_from(job, "pneumonia") == title


def test_a_report_that_takes_long_says_what_it_is_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for seconds, what in ((0, "start"), (1, "reading draw 1"), (3, "reading draw 9"),
                          (4, "reading draw 12"), (9, "drawing")):  # fmt: skip
        monkeypatch.setattr(time, "monotonic", lambda s=seconds: float(s))
        if not said:
            say = Patience()
        say(what)
        said.append(capsys.readouterr().err)
    assert said == ["", "", "reading draw 9 ...\n", "", "drawing ...\n"]


def test_the_command_prints_the_answer_and_where_it_lies(mri: Reported, command: Any) -> None:
    result = command("report", f"study_dir={mri.folder}")
    assert result.returncode == 0, result.stderr
    printed = re.sub(r"\s+", " ", result.stdout)
    assert mri.answer["question"] in printed
    assert mri.answer["verdicts"][0] in printed
    assert f"report {mri.folder}/report.html" in printed


@pytest.mark.parametrize("draws", [1, 2])
def test_few_draws_do_not_deny_that_patients_are_known(draws: int, tmp_path: Path) -> None:
    tested = [{"split": "test", "metric": "auroc", "smallest_effect": 0.01}]
    write_study(tmp_path, {"real": 0.0, "gan": 0.01}, draws, endpoints=tested)
    _, summary, page = report_of(tmp_path)
    assert "not kept" not in page
    assert "over 0 comparisons" not in page
    assert ("fewer than 6 draws is hardly known" in page) == (draws > 1)  # one has no spread
    assert "patients of its own" not in page
    assert "not kept" not in " ".join(summary["answer"]["limits"])
