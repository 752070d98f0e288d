"""The answer in README and docs/index.md is what the committed results give."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from support import ROOT, page_with

IN_THE_ANSWER = {
    "seed_protocol: gan against real, at 0.5",
    "seed_protocol: gan against real, at the validation threshold",
    "seed_protocol: gan against real, AUROC",
    "seed_protocol: duplicate against real, at 0.5",
    "seed_protocol: duplicate against real, at the validation threshold",
    "seed_protocol: duplicate against real, AUROC",
    "seed_protocol: classic against real, at 0.5",
    "seed_protocol: classic against real, at the validation threshold",
    "seed_protocol: classic against real, AUROC",
    "seed_protocol: gan against duplicate, AUROC",
    "size_sweep: 300 against 50 real images of each class, test_accuracy",
    "size_sweep: 300 against 50 real images of each class, internal_accuracy",
    "best_recipe: gan against real, at 0.5",
    "seed_protocol: classic against real, internal accuracy",
}


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "experiments" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def figures() -> dict[str, str]:
    found: dict[str, str] = script("published").figures()
    return found


@pytest.mark.parametrize("study", ["seed_protocol", "best_recipe", "size_sweep"])
def test_summaries_follow_from_the_committed_results(study: str, tmp_path: Path) -> None:
    committed = ROOT / "experiments" / study
    for name in ("results.csv", "summary.json"):
        shutil.copy(committed / name, tmp_path)
    script("recompute").recompute(tmp_path)
    found, expected = (
        json.loads((folder / "summary.json").read_text()) for folder in (tmp_path, committed)
    )
    assert found["answer"] == expected["answer"]
    for block, there in zip(*(s["splits"]["test"]["accuracy"] for s in (found, expected)),
                            strict=True):  # fmt: skip
        for one, other in zip(block["comparisons"], there["comparisons"], strict=True):
            assert {k: pytest.approx(v) for k, v in one.items()} == other


ANSWER = ROOT / "docs" / "index.md"
"""Where the whole answer stands, with all its numbers."""
READMES = (ROOT / "README.md", ROOT / "README.ko.md")
"""Where the shortest form of it stands."""


def words_of(page: Path) -> str:
    """Return a page on one line, with English words for intervals."""
    text = re.sub(r"\s+", " ", page.read_text()).replace("점 (", " (").replace("점(", " (")
    return text.replace(" ~ ", " to ").replace(" 이상", " or more").replace(" 이하", " or less")


def test_the_answer_says_what_the_results_give(figures: dict[str, str]) -> None:
    screen = words_of(ANSWER)
    assert figures.keys() >= IN_THE_ANSWER
    for title in IN_THE_ANSWER:
        figure = figures[title].replace("+0.0 (", "0.0 (")
        assert figure in screen, f"{title}: {figures[title]}"
    for title in ("sensitivity", "specificity"):
        alone = figures[f"seed_protocol: classic against real, {title}"].split()[0]
        assert alone in screen


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_readmes_say_nothing_that_the_answer_does_not(readme: Path) -> None:
    end = r"[-+][\d.]+(?: or (?:less|more))?"
    told = re.findall(
        rf"[-+]?[\d.]+(?: or more)? \({end} to {end}\)",
        words_of(readme).replace(" points (", " ("),
    )
    assert len(told) > 18
    answer = words_of(ANSWER).replace(" points (", " (")
    for figure in told:
        assert figure in answer, figure


def test_the_fits_that_share_the_test_images_are_counted(figures: dict[str, str]) -> None:
    number = figures["fits that share the test images"].split()[0]
    assert page_with(f"({number} published")


def run(folder: Path, *command: str) -> str:
    """Return what a script prints, run in its folder, by this process, which has all imported."""
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        patch.setattr(sys, "argv", [*command])
        runpy.run_path(command[0], run_name="__main__")
    return output.getvalue()


def printed(folder: Path, *command: str) -> list[str]:
    """Return the rows of the tables that a script prints, which are all in its folder's README."""
    rows = [line for line in run(folder, *command).splitlines() if line.startswith("| ")]
    assert set(rows) <= set((folder / "README.md").read_text().splitlines())
    return rows


def test_the_calibration_tables_are_what_the_script_prints() -> None:
    folder = ROOT / "experiments" / "calibration"
    rows = printed(folder, "calibrate.py", "again.csv", "planted.csv")
    assert len(rows) == 31  # 9 + 18 of numbers, and the tables' heads


@pytest.mark.slow
def test_the_tables_on_real_xrays_are_what_the_script_prints() -> None:
    folder = ROOT / "experiments" / "calibration"
    assert len(printed(folder, "real_xrays.py", "real.csv", "1000")) == 30  # 6 + 6 + 12, and heads


def share(cell: str) -> float:
    """Return a share in a table's cell, "4.5 % (3.1 to 6.2)"; its interval must hold it."""
    found, low, high = (float(n) / 100 for n in re.findall(r"[\d.]+", cell))
    assert low <= found <= high
    assert 0 < high - low < 0.5
    return found


def test_the_calibration_on_real_xrays_finds_what_is_there(tmp_path: Path) -> None:
    """On made-up results: two equal GANs, and 150 images on a curve of 2 points a doubling."""
    random = np.random.default_rng(0)
    images = {"real": 50, "gan": 60, "gan_twin": 60, "planted": 150}
    images |= {f"ruler_{n}": n for n in (25, 50, 100, 200, 400)}
    rows = []
    for draw in range(60):
        level = random.normal(0.9, 0.02)
        for arm, n in images.items():
            value = level + 0.02 * np.log2(n / 25) + random.normal(0, 0.005)
            rows.append((draw, arm, value, value, value))
    columns = ["draw", "arm", "internal_auroc", "test_auroc", "test_accuracy"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(tmp_path / "real.csv")
    folder = ROOT / "experiments" / "calibration"
    output = run(folder, "real_xrays.py", str(tmp_path / "real.csv"), "50")
    equal, _, planted, _, *unused = [
        [cell.strip() for cell in row.split("|")[1:-1]]
        for row in output.splitlines()
        if row.startswith("| internal AUROC") or "| internal AUROC | 6 |" in row
    ]
    assert share(equal[3]) < 0.1
    assert [share(planted[3]), share(planted[4])] == [1, 1]
    place, low, high = map(float, re.findall(r"\d+", planted[1]))
    assert low <= 150 <= high
    assert place == pytest.approx(150, rel=0.1)
    assert share(planted[6]) > 0.85
    assert [share(row[3]) > 0.85 for row in unused] == [True, True]


@pytest.fixture(
    scope="module",
    params=[pytest.param("worth", marks=pytest.mark.slow), "worth_nih"],  # its archive is large
)
def study(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tables(study: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `experiments/worth/table.py` makes of a study's archive."""
    module, archive = script("worth/table"), ROOT / "experiments" / study / "draws.zip"
    return module.Tables(module.read([archive], tmp_path_factory.mktemp(study)))


def worth_of(study: str, tables: Any) -> dict[int, list[str]]:
    """Return by real images of each class what README's table says each way is worth."""
    rows = [line for line in tables.lines() if line.startswith("| ")]
    readme = (ROOT / "experiments" / study / "README.md").read_text()
    assert set(rows) <= set(readme.splitlines())
    found: dict[tuple[int, str, str], str] = {}
    sizes: list[int] = []
    for first, second, *_ in ([cell.strip() for cell in row.split("|")[1:-1]] for row in rows):
        if second.startswith("worth"):
            model, size = first.split(",")[0], int(first.split()[2])
            sizes.append(size)
        found[size, model, first] = second
    return {
        size: [
            found[size, "dcgan", "`gan`"],
            found[size, "cyclegan", "`gan`"],
            # What holds no GAN image stands in both GANs' tables; the DCGANs' is told of.
            found[size, "dcgan", "`duplicate`"],
            found[size, "dcgan", "`classic`"],
        ]
        for size in sorted(set(sizes))
    }


def test_what_images_are_worth_is_what_the_script_prints(study: str, tables: Any) -> None:
    expected = worth_of(study, tables)
    assert [*expected] == ([50, 200] if study == "worth" else [50, 150])
    mine = slice(2) if study == "worth" else slice(2, 4)  # the rows of children come first
    for page in (ANSWER, *READMES):
        text = page.read_text().replace(" ~ ", " to ")
        lines = text.replace(" 이상", " or more").replace(" 이하", " or less").splitlines()
        (head,) = (i for i, line in enumerate(lines) if line[:1] == "|" and " DCGAN" in line)
        rows = [line.split("|")[2:-1] for line in lines[head + 2 :][:4]][mine]
        rows = [[cell.strip() for cell in row] for row in rows]
        told = [[re.sub(r", \*(uncorrected|보정 전)\*$", "", cell) for cell in row] for row in rows]
        assert told == [*expected.values()], page
        marked = [[cell.endswith("*") for cell in row] for row in rows]
        assert marked == uncorrected(tables), page


def uncorrected(tables: Any) -> list[list[bool]]:
    """Return where README's table says so: an interval without 0 and no difference shown."""
    found: dict[Any, list[bool]] = {}
    for condition in tables.study.conditions:
        size, model = (condition[key] for key in ("per_class", "model"))
        for arm in ("gan", "duplicate", "classic"):
            judged = tables.verdict(condition, arm, "real")
            apart = judged.low > 0 or judged.high < 0
            found[size, model, arm] = apart and judged.p_holm >= 0.05
    cells = (("dcgan", "gan"), ("cyclegan", "gan"), ("dcgan", "duplicate"), ("dcgan", "classic"))
    return [[found[size, *cell] for cell in cells] for size in sorted({s for s, *_ in found})]


def facts(study: str, tables: Any) -> dict[str, str]:
    """Return what the answer says in words of a study, by what it is."""
    found: dict[str, str] = {}
    conditions = {(c["per_class"], c["model"]): c for c in tables.study.conditions}
    for size, model, arm, reference, in_words in COMPARED[study]:
        judged = tables.verdict(conditions[size, model], arm, reference)
        key = f"{size} {model}: {arm} less {reference}"
        if in_words:
            found[key] = interval_of(judged.mean, judged.interval)
        found[f"{key}, p"] = f"p = {judged.p_holm:.2g}"
    split = "internal" if study == "worth" else "test"
    found["mixup pooled"] = interval_of(*tables.pooled(split, "mixup", "mixup_control"))
    seen = tables.measure(conditions[50, "dcgan"], split, "auroc").sensitivity
    found["a doubling"] = interval_of(seen.gain, seen.interval)
    if study == "worth_nih":
        for after in ("", "_last"):
            pooled = tables.pooled("test" + after, "gan", "real")
            found[f"gan less real{after}"] = interval_of(*pooled)
        return found
    (line,) = (
        line
        for line in tables.shown()
        if "test AUROC, per_class=200, model=dcgan: classic better than real" in line
    )
    _, found["classic on the official test folder"], p = line.rsplit(", ", 2)
    found["classic on the official test folder, p"] = p.removesuffix(" of 144")
    return found


COMPARED = {
    "worth": [
        (50, "dcgan", "mixup", "real", True),
        (50, "dcgan", "mixup", "mixup_control", True),
        (50, "dcgan", "classic", "real", False),  # the table has it in real images
        (200, "dcgan", "classic", "real", False),
    ],
    "worth_nih": [
        (50, "dcgan", "classic", "real", True),
        (150, "dcgan", "classic", "real", True),
        (150, "cyclegan", "classic_gan", "classic", True),
    ],
}
"""Real images of each class, GAN, arm and reference; whether the difference stands in words."""


def interval_of(mean: float, ends: tuple[float, float]) -> str:
    return f"{100 * mean:+.2f} ({100 * ends[0]:+.2f} to {100 * ends[1]:+.2f})"


def test_the_sentences_say_what_the_archives_give(study: str, tables: Any) -> None:
    screen = words_of(ANSWER)
    for title, fact in facts(study, tables).items():
        assert fact in screen, f"{title}: {fact}"
    assert tables.families[0].size == 72


def test_test_files_share_patient_numbers_with_training(real_xrays: Path) -> None:
    shared = script("published").patients_of_both(real_xrays)
    assert shared == "416 of 624"
    assert "416 of its 624 files" in words_of(ANSWER)


def test_the_gan_familys_tables_are_what_the_script_prints() -> None:
    module = script("gan_family/compare")
    results = module.read_results()
    models = module.by_recall(results)
    rows = [*module.table(results, models), *module.beside_dcgan(results, models)]
    readme = (ROOT / "experiments" / "gan_family" / "README.md").read_text()
    assert set(rows) <= set(readme.splitlines())


def test_the_search_for_3_points_chose_what_its_readme_says(tmp_path: Path) -> None:
    module, folder = script("mixed_in/choose"), ROOT / "experiments" / "mixed_in"
    study = script("mixed_in/table").read(folder / "search.zip", tmp_path)
    ways = module.ranked(study.table).filter(pl.col("normal") == 400)
    plain = ways.filter(~pl.col("classic"))
    rows = []
    for way in plain.iter_rows(named=True):
        assert way["draws"] == 6
        alpha = {"02": "0.2", "04": "0.4", "1": "1", "100": "0.2"}[way["arm"].split("_")[1]]
        images = "100 of each class" if way["arm"].endswith("_100") else "all translations"
        step = f"{way['weights']} step"
        numbers = [100 * way[name] for name in ("score", "control", "auroc", "internal")]
        rows.append([f"alpha {alpha}, {images}", step, *(f"{one:+.2f}" for one in numbers)])
    lines = (folder / "README.md").read_text().replace("*", "").splitlines()
    (head,) = (i for i, line in enumerate(lines) if line.startswith("| way |"))
    told = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[head + 2 :][:8]]
    assert told[0] == rows[0]
    assert sorted(told) == sorted(rows)  # two are equal
    assert plain["allowed"].all()
    assert not ways.filter("classic")["allowed"].any()


@pytest.mark.slow  # its archive is large
def test_the_gain_of_3_points_is_what_the_script_prints() -> None:
    folder = ROOT / "experiments" / "mixed_in"
    printed_lines = run(folder, "table.py", "confirm.zip").splitlines()
    tables = [line for line in printed_lines if line.startswith(("| ", "- "))]
    readme = (folder / "README.md").read_text()
    assert set(tables) <= set(readme.splitlines())
    assert sum(line.endswith(": yes") for line in tables) == 4
    rows = [line.split("|")[1:-1] for line in tables if line.startswith("| `")]
    cells = {name.strip(): numbers for name, *numbers in reversed(rows)}  # the first of a name

    def told(pair: str) -> list[str]:
        first, _, _, *others = (cell.strip() for cell in cells[pair])
        return [first, *others]

    arms = {"gan": "CycleGAN", "copies": "copies", "within": "each other", "more_real": "700",
            "classic": "classic"}  # fmt: skip
    lines = ANSWER.read_text().splitlines()
    (head,) = (i for i, line in enumerate(lines) if line.startswith("| less real images alone"))
    answer = [line.split("|")[1:-1] for line in lines[head + 2 :][: len(arms)]]
    for (arm, part), (title, *numbers) in zip(arms.items(), answer, strict=True):
        assert part in title
        assert [cell.strip() for cell in numbers] == told(f"`{arm}` less `real`")
    for fact in (told("`gan` less `copies`")[0], cells["`gan` less `classic`"][0].strip()):
        assert fact in words_of(ANSWER)
