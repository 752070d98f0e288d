"""Writes what `gan_aug.study` leaves, with effects that are known."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from support import BINARY, RUN

from gan_aug.data.classes import Classes
from gan_aug.report import build
from gan_aug.report.metrics import MeasuredFit, measure_fit
from gan_aug.report.predictions import (
    Predicted,
    hash_of,
    read_predictions,
    write_predictions,
)
from gan_aug.report.read import read_study
from gan_aug.report.summary import plain

ARMS = ("real", "classic", "oversample", "duplicate", "gan", "classic_gan")
RULES = (1, 2, 3, 4, 5, 6, 7)
N = 200
"""Images of each class in each split: accuracy comes in steps of 0.25 %."""
ENDPOINT = {"split": "test", "metric": "accuracy", "smallest_effect": 0.01}
SPLITS = ("validation", "internal", "test")


def write_study(
    folder: Path,
    effects: dict[str, float],
    draws: int = 10,
    repeats: int = 1,
    noise: float = 0.003,
    conditions: tuple[dict[str, Any], ...] = ({},),
    seed: int = 0,
    quality: float | None = None,
    endpoints: list[dict[str, Any]] | None = None,
) -> Path:
    """Write a study in which arms differ from `real` by `effects` (shares) plus noise.

    Arms named ruler_25 and so on are a ruler, from which draws have 50 images of each class.
    `quality` is how strongly KID falls with the gain of a draw; None: not measured.
    """
    random = np.random.default_rng(seed)
    for condition in conditions:
        for draw in range(draws):
            level = 0.8 + random.normal(0, 0.02)
            where = "/".join(f"{k}_{v}" for k, v in condition.items()) or "."
            _write_job(
                folder / where / f"draw_{draw}",
                draw,
                condition,
                level,
                effects,
                repeats,
                noise,
                random,
                quality,
                endpoints,
            )
    return folder


def _write_job(
    folder: Path,
    draw: int,
    condition: dict[str, Any],
    level: float,
    effects: dict[str, float],
    repeats: int,
    noise: float,
    random: np.random.Generator,
    quality: float | None,
    endpoints: list[dict[str, Any]] | None,
) -> None:
    fits: list[dict[str, Any]] = []
    right: dict[str, list[float]] = {arm: [] for arm in effects}  # share of the test images
    labels = np.repeat([0, 1], N)
    patients = np.arange(2 * N) // 2
    for arm in effects:
        for repeat in range(repeats):
            accuracy = level + effects[arm] + random.normal(0, noise)
            predictions = {}
            for split in SPLITS:
                wrong = random.permutation(2 * N)[: round((1 - accuracy) * 2 * N)]
                called = labels.copy()
                called[wrong] = 1 - called[wrong]
                # Not all alike, so that no two draws have the same predictions.
                scores = np.where(called == 1, 0.9, 0.1) + random.uniform(-0.05, 0.05, 2 * N)
                logits = np.log(scores / (1 - scores)).astype(np.float32)
                predictions[split] = Predicted(labels, patients, logits)
            right[arm].append((called == labels).mean())
            write_predictions(folder / "fits" / f"{arm}_{repeat}.npz", predictions)
            seconds = float(random.random())
            fits.append(_fit(arm, repeat, draw, seconds, hash_of(predictions)))
    counts = {"normal": N, "pneumonia": N}
    asked = "gan" if "gan" in effects else "gan_50"
    sizes = {arm: int(arm.split("_")[1]) for arm in effects if arm.startswith("ruler_")}
    result = {
        "format": 1,
        "headline": {},
        "headline_of": "",
        "draw": draw,
        "folder": folder.name,
        "condition": condition,
        "question": {"arm": asked, "reference": "real"},
        "comparisons": [["classic_gan", "classic"]] if "classic_gan" in effects else [],
        "endpoints": endpoints or [ENDPOINT],
        "control": "duplicate" if "duplicate" in effects and asked == "gan" else None,
        "repeats": repeats,
        "method": {"data": "fake", "image_size": 64, "channels": 1, "batch_size": 8,
                   "classifier": "cnn", "gan": "dcgan", "gan_batch_size": 4, "gan_select": None,
                   "generator": None},
        "classes": list(BINARY),
        "positive": BINARY.positive,
        "splits": dict.fromkeys(SPLITS, counts),
        "arms": {arm: _arm(arm) for arm in effects},
        "gans": {
            "pneumonia": {"seconds": 9.0, "batches": 5, "checkpoint_sha256": f"{condition} {draw}",
                          "diverged": False, "chosen": None, "reused": False, "folder": "x",
                          "sources": []}
        },
        "fits": fits,
        "quality": None,
        "ruler": {"arms": sizes, "classes": list(BINARY), "own": 50} if sizes else None,
        "checks": [
            {"rule": rule, "title": f"rule {rule}", "passed": True, "detail": "fine"}
            for rule in RULES
        ],
    }  # fmt: skip
    if quality is not None:
        gain = np.mean(right["gan"]) - np.mean(right["real"])
        values = {"generated": {"kid": 1 - quality * gain, "precision": random.random()},
                  "real": {"kid": 0.01, "precision": 0.9}}  # fmt: skip
        result["quality"] = {
            "extractor": "cnn-c0ffee00", "good": {"kid": "lower", "precision": "higher"},
            "classes": {"pneumonia": {"values": values, "seconds": None,
                                      "images": {"measured": 150}}},
        }  # fmt: skip
    record = RUN | {
        "name": "fake", "seconds": 1.0, "job": 0,
        "data": {"fingerprint": "f", "used": {"train": counts, "test": counts}},
        "config": {"draw": draw, "study": {"repeats": repeats, "folder": folder.name, **condition}},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(record))
    change(folder / "metrics.json", lambda _: None, result)


def _fit(arm: str, repeat: int, draw: int, seconds: float, predictions: str) -> dict[str, Any]:
    shown, none = {"normal": 3, "pneumonia": 4}, {"images": {}, "shown": {}}
    return {
        "format": 1, "arm": arm, "repeat": repeat, "steps": 20, "chosen": None, "seconds": seconds,
        "initial_weights": f"{draw}-{repeat}", "fingerprint": "f", "external_tests": {},
        "git_commit": "c0ffee", "reused": False,
        "used": {"real": {"images": shown, "shown": shown}, "added": none, "unlabelled": None},
        "predictions": predictions,
        "curve": [{"step": s, "train_loss": 1 / s, "val_loss": 2 / s, "val_auroc": 0.9}
                  for s in (10, 20)],
    }  # fmt: skip


def _arm(arm: str) -> dict[str, Any]:
    source = {"gan": "gan", "duplicate": "duplicate", "more": "real"}.get(
        arm.partition("_")[0], "none"
    )
    return {
        "title": f"title of {arm}",
        "source": source,
        "added": {"normal": 0, "pneumonia": _added(arm)},
        "unlabelled": 0,
    }


def _added(arm: str) -> int:
    tail = arm.rpartition("_")[2]
    return int(tail) if tail.isdigit() else 10 * (arm in ("duplicate", "gan", "classic_gan"))


class Reported(NamedTuple):
    """A study and its report."""

    folder: Path
    summary: dict[str, Any]  # summary.json
    page: str

    @property
    def answer(self) -> dict[str, Any]:
        """What it says first."""
        return dict(self.summary["answer"])


def report_of(folder: Path, archive: Path | None = None, *, figures: bool = False) -> Reported:
    """Write a report; without figures, which take most of its time, where these are not asked."""
    with pytest.MonkeyPatch.context() as patch:
        if not figures:
            patch.setattr(build, "all_figures", lambda *_: {})
        page = build.write_report(folder, archive).page
    return Reported(folder, json.loads((folder / "summary.json").read_text()), page.read_text())


def summary_of(folder: Path) -> dict[str, Any]:
    """Return what summary.json would hold of a study; nothing is written."""
    return plain(*build.answered(read_study(folder)))


def metrics_of(draw: Path, fit: dict[str, Any], classes: Classes = BINARY) -> MeasuredFit:
    """Return what a fit of a draw gives."""
    path = draw / "fits" / f"{fit['arm']}_{fit['repeat']}.npz"
    return measure_fit(read_predictions(path, fit["predictions"], ""), classes)


def change(path: Path, edit: Any, content: Any = None) -> None:
    """Edit a JSON file in place, as its run would have written it."""
    content = json.loads(path.read_text()) if content is None else content
    edit(content)
    path.write_text(json.dumps(content))
    if path.name == "metrics.json":
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        change(path.with_name("run.json"), lambda r: r.update(metrics_sha256=digest))
