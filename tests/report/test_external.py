"""What a report says of images of generators that gan_aug did not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_study import Reported, change, report_of, summary_of, write_study

from gan_aug.study import ending

MINE = {"real": 0.0, "duplicate": 0.0, "gan": 0.02}
NEAR = [
    {"added": f"normal/{i}.png", "real": f"test/{i}.png", "split": "test", "correlation": 0.99}
    for i in range(7)
]


def facts(draw: int, **others: Any) -> dict[str, Any]:
    """Return what a draw says of its external set."""
    return {
        "arms": ["gan"], "dir": f"draw_{draw}", "seen": "draw", "sha256": f"{draw:064x}",
        "files_sha256": f"{draw:064x}", "images": {"normal": 9, "pneumonia": 8}, "near": [],
    } | others  # fmt: skip


def report(folder: Path, quality: float | None = None, **others: Any) -> Reported:
    """Report a study of three draws, with these facts in all of them."""
    write_study(folder, MINE, draws=3, quality=quality)

    def edit(metrics: dict[str, Any], draw: int) -> None:
        metrics["arms"]["gan"]["source"] = "folder"
        metrics["method"]["generator"] = "generator"
        metrics["gans"], metrics["external"] = {}, [facts(draw, **others)]

    for draw in range(3):
        change(folder / f"draw_{draw}/metrics.json", lambda m, d=draw: edit(m, d))  # type: ignore[misc]
    return report_of(folder)


@pytest.mark.parametrize("seen", ["draw", "nothing", "unknown"])
def test_what_is_declared_is_told_where_it_weighs(seen: str, tmp_path: Path) -> None:
    answer = report(tmp_path, seen=seen).answer
    careful, limits = ("\n".join(answer[key]) for key in ("careful", "limits"))
    assert ("leakage of validation and test images cannot be excluded" in careful) == (
        seen == "unknown"
    )
    assert ("is declared, not checked" in limits) == (seen == "nothing")
    assert "another training of its generator" not in limits
    (done,) = (one for one in answer["done"] if "a generator that gan_aug did not fit" in one)
    assert "from draw_0, draw_1, draw_2 (9 + 8 there)" in done
    assert ("lists the training images of its draw and no others" in done) == (seen == "draw")


@pytest.mark.parametrize("seen", ["draw", "unknown"])
def test_real_images_are_not_said_to_be_unseen_where_that_is_not_known(
    seen: str, tmp_path: Path
) -> None:
    page = report(tmp_path, quality=1.0, seen=seen).page
    assert ("neither the generator nor the classifier has seen" in page) == (seen == "draw")
    assert ("whether the generator has is not known" in page) == (seen == "unknown")


def test_a_multirun_says_at_its_end_what_its_jobs_said_in_their_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report(tmp_path, seen="unknown")
    (tmp_path / "report.html").unlink()
    monkeypatch.setattr(ending, "_running", ending._Study(tmp_path, only_planned=False))
    ending.finish()
    said = capsys.readouterr()
    assert "warning: what the generator of the images of gan saw is not known" in said.err
    assert f"report      {tmp_path / 'report.html'}" in said.out


def test_one_set_for_all_draws_is_said_to_be_that(tmp_path: Path) -> None:
    _, summary, _ = report(tmp_path, seen="nothing", dir="made", sha256="0" * 64)
    assert any(
        "All draws take the images of gan from one set: the interval does not cover" in one
        for one in summary["answer"]["limits"]
    )
    (rule,) = (one for one in summary["rules"] if one["rule"] == 8)
    assert rule["title"] == "A generator is fitted for each draw"
    assert not rule["passed"]
    assert rule["detail"] == "1 external sets for 3 draws, 1 of them for several"


def test_what_is_declared_of_one_condition_is_not_said_of_another(tmp_path: Path) -> None:
    """As where `study.added.seen=draw,unknown` stands beside two folders."""
    write_study(tmp_path, MINE, draws=3)
    for draw in range(3):
        seen = "unknown" if draw == 2 else "draw"
        path = tmp_path / f"draw_{draw}/metrics.json"
        change(path, lambda m, d=draw, s=seen: m.update(external=[facts(d, seen=s)]))  # type: ignore[misc]
    summary = summary_of(tmp_path)
    assert [(one["seen"], one["draws"]) for one in summary["external"]] == [
        ("draw", 2), ("unknown", 1),
    ]  # fmt: skip
    assert any("what the generator" in one for one in summary["answer"]["careful"])


@pytest.mark.parametrize("seen", ["draw", "nothing"])
def test_copies_of_training_images_are_told(seen: str, tmp_path: Path) -> None:
    _, summary, page = report(tmp_path, seen=seen, copies={"normal": 4, "pneumonia": 0})
    (row,) = summary["external"]
    assert (row["copies"], row["copies_draws"]) == ({"normal": 12}, 3)
    careful, limits = ("\n".join(summary["answer"][key]) for key in ("careful", "limits"))
    said = "12 normal images are near duplicates of training images (in 3 of 3 draws)."
    assert f"Among the images of gan, {said}" in limits
    assert (f"(seen: nothing), yet {said}" in careful) == (seen == "nothing")
    assert "of training images: 12 normal, in 3 of 3 draws" in page


def test_near_duplicates_are_counted_and_the_first_named(tmp_path: Path) -> None:
    _, summary, page = report(tmp_path, near=NEAR)
    (row,) = summary["external"]
    assert (row["near"], row["near_draws"], len(row["examples"])) == ({"test": 21}, 3, 5)
    (careful,) = (one for one in summary["answer"]["careful"] if "near duplicates" in one)
    assert "21 test images, in 3 of 3 draws" in careful
    assert "normal/0.png is nearly test/0.png" in careful
    assert "normal/4.png of test/4.png" in page
    assert "normal/5.png" not in page
