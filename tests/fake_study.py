"""Writes what `gan_aug.study` leaves, with effects that are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from support import BINARY

from gan_aug.metrics.classification import choose_threshold, measure

CONFIG_STUDY = ("condition", "question", "comparisons", "primary")
ARMS = ("real", "classic", "oversample", "duplicate", "gan", "classic_gan")
RULES = (1, 2, 3, 4, 5, 6, 7)
N = 200
"""Images of each class in each split: accuracy comes in steps of 0.25 %."""
SPLITS = ("validation", "internal", "test")


def write_study(
    folder: Path,
    effects: dict[str, float],
    draws: int = 10,
    repeats: int = 2,
    noise: float = 0.004,
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
            )
            if endpoints is not None:
                path = folder / where / f"draw_{draw}" / "run.json"
                change(path, lambda r: r["config"]["study"].update(endpoints=endpoints))
                split = endpoints[0]["split"]
                change(
                    path.with_name("metrics.json"), lambda m, split=split: m.update(primary=split)
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
) -> None:
    (folder / "fits").mkdir(parents=True)
    fits = []
    labels = np.repeat([0, 1], N)
    for arm in effects:
        for repeat in range(repeats):
            accuracy = level + effects[arm] + random.normal(0, noise)
            arrays: dict[str, Any] = {}
            for split in SPLITS:
                wrong = random.permutation(2 * N)[: round((1 - accuracy) * 2 * N)]
                called = labels.copy()
                called[wrong] = 1 - called[wrong]
                # Not all alike, so that no two draws have the same predictions.
                scores = np.where(called == 1, 0.9, 0.1) + random.uniform(-0.05, 0.05, 2 * N)
                scores = np.stack([1 - scores, scores], axis=1)
                arrays |= {split: scores, f"{split}_labels": labels}
                arrays[f"{split}_patients"] = np.arange(2 * N) // 2
            np.savez(folder / "fits" / f"{arm}_{repeat}.npz", **arrays)
            fits.append(
                {"arm": arm, "repeat": repeat, "steps": 20, "seconds": float(random.random()),
                 "initial_weights": f"{draw}-{repeat}",
                 "curve": [{"step": s, "train_loss": 1 / s, "val_loss": 2 / s, "val_auroc": 0.9}
                           for s in (10, 20)]}
                | measured(arrays)
            )  # fmt: skip
    counts = {"normal": N, "pneumonia": N}
    metrics = {
        "headline": {},
        "draw": draw,
        "condition": condition,
        "question": {"arm": "gan" if "gan" in effects else "gan_50", "reference": "real"},
        "comparisons": [["classic_gan", "classic"]] if "classic_gan" in effects else [],
        "primary": "test",
        "classes": list(BINARY),
        "positive": BINARY.positive,
        "splits": dict.fromkeys(SPLITS, counts),
        "arms": {
            arm: {"title": f"title of {arm}", "added": {"normal": 0, "pneumonia": _added(arm)}}
            for arm in effects
        },
        "gans": {
            "pneumonia": {"seconds": 9.0, "batches": 5, "checkpoint_sha256": f"{condition} {draw}",
                          "reused": False, "folder": "x"}
        },
        "fits": fits,
        "checks": [
            {"rule": rule, "title": f"rule {rule}", "passed": True, "detail": "fine"}
            for rule in RULES
        ],
    }  # fmt: skip
    sizes = {arm: int(arm.split("_")[1]) for arm in effects if arm.startswith("ruler_")}
    if sizes:
        metrics["ruler"] = {"arms": sizes, "classes": list(BINARY), "own": 50}
    if quality is not None:
        gain = np.diff([np.mean([f["test"]["at_0.5"]["accuracy"] for f in fits if f["arm"] == arm])
                        for arm in ("real", "gan")])[0]  # fmt: skip
        values = {"generated": {"kid": 1 - quality * gain, "precision": random.random()},
                  "real": {"kid": 0.01, "precision": 0.9}}  # fmt: skip
        metrics["quality"] = {
            "extractor": "cnn-c0ffee00", "good": {"kid": "lower", "precision": "higher"},
            "classes": {"pneumonia": {"values": values, "images": {"measured": 150}}},
        }  # fmt: skip
    record = {
        "status": "finished", "reason": None, "name": "fake", "command": ["python", "-m", "x"],
        "git_commit": "c0ffee", "versions": {"torch": "2"}, "python": "3", "machine": "m",
        "seconds": 1.0, "started": "2026", "job": 0, "overrides": [],
        "data": {"fingerprint": "f", "used": {"train": counts, "test": counts}},
        "config": {"data": {"name": "fake"}, "draw": draw, "arms": {a: _arm(a) for a in effects},
                   "study": {"repeats": repeats, "folder": folder.name, **condition}
                   | {key: metrics[key] for key in CONFIG_STUDY}},
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "run.json").write_text(json.dumps(record))


def _arm(arm: str) -> dict[str, Any]:
    source = {"gan": "gan", "duplicate": "duplicate"}.get(arm.partition("_")[0], "none")
    added = {"source": source, "count": {"normal": 0, "pneumonia": _added(arm)}, "ratio": None,
             "weight": 1, "label_smoothing": 0, "augment": None,
             "filter": {"min_confidence": 0, "min_distance": 0, "candidates": 4}}  # fmt: skip
    return {
        "title": f"title of {arm}",
        "balanced": False,
        "augment": None,
        "stream": 0,
        "pretrain": 0,
        "added": added,
    }


def _added(arm: str) -> int:
    tail = arm.rpartition("_")[2]
    return int(tail) if tail.isdigit() else 10 * (arm in ("duplicate", "gan", "classic_gan"))


def measured(arrays: dict[str, Any]) -> dict[str, Any]:
    """What `gan_aug.study.fitting.measure` makes of a fit's predictions."""
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    threshold = choose_threshold(tensors["validation"], tensors["validation_labels"], BINARY)
    found: dict[str, Any] = {"threshold": threshold}
    for split in SPLITS:
        found[split] = measure(tensors[split], tensors[f"{split}_labels"], BINARY, threshold)
    return found


def change(path: Path, edit: Any) -> None:
    """Edit a JSON file in place."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
