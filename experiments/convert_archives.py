"""Convert archives of gan_aug's first weeks: python convert_archives.py OLD.zip ... NEW.zip

The archives of one study become one. Until commit 0a935b2 an archive held every draw's fits as
.npz, those that conditions share several times, some with probabilities in place of log-odds; a
draw's metrics.json held what had been measured of each fit; settings had other names. This script
is all that knows of it. The report computes every metric from the predictions.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_aug.report.archive import files_to_keep, write_archive
from gan_aug.report.predictions import Predicted, Predictions, hash_of, write_predictions
from gan_aug.report.read import read_study
from gan_aug.report.records import DECLARATION, RESULT, Declaration, DrawResult
from gan_aug.runtime.files import sha256_of
from gan_aug.runtime.run_record import RECORD, RunRecord
from gan_aug.settings.class_facts import classes_made, gan_facts

KEYS = {
    "holdout_per_class": "development_per_class",
    "judge_steps": "reference_steps",
    "judges_dir": "reference_dir",
}
MOVED = {
    "gan_aug.augment.": "gan_aug.models.augment.",
    "gan_aug.classifier.": "gan_aug.models.classifier.",
    "gan_aug.gans.": "gan_aug.models.gans.",
    "gan_aug.networks.": "gan_aug.models.networks.",
    "gan_aug.data.chest_xray.": "gan_aug.data.sources.chest_xray.",
    "gan_aug.quality.extractors.judge_features": "gan_aug.evaluation.extractors.reference_features",
    "gan_aug.quality.extractors.": "gan_aug.evaluation.extractors.",
}
SURE = 800.0
"""Log-odds whose probability is 1 in 64 bits."""


def renamed(node: Any) -> Any:
    """Return settings with every key and `_target_` as it is named today."""
    if isinstance(node, list):
        return [renamed(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    found = {KEYS.get(key, key): renamed(value) for key, value in node.items()}
    extra = found.get("extra")
    if isinstance(extra, dict) and "source" in extra:  # of an arm
        found["added"] = found.pop("extra")
    if isinstance(found.get("primary"), str) and "question" in found:  # of a study
        split = found.pop("primary")
        endpoint = {"split": split, "metric": "accuracy", "smallest_effect": 0.01}
        found.setdefault("endpoints", [endpoint])
    name = found.get("_target_")
    for then, now in MOVED.items():
        if isinstance(name, str) and name.startswith(then):
            found["_target_"] = now + name.removeprefix(then)
            break
    return found


def predictions_of(arrays: dict[str, NDArray[Any]], patients: dict[str, Any]) -> Predictions:
    """Return an old .npz's predictions; `patients` are those of the draw, where it has none."""
    found = {}
    for split in [name.removesuffix("_labels") for name in arrays if name.endswith("_labels")]:
        own = arrays.get(f"{split}_patients")
        whose = patients.setdefault(split, own) if own is None else own
        assert whose is not None
        patients[split] = whose
        last = f"{split}_last"
        has_last = last in arrays or f"{last}_logits" in arrays
        found[split] = Predicted(
            arrays[f"{split}_labels"],
            whose,
            _logits(arrays, split),
            _logits(arrays, last) if has_last else None,
        )
    return found


def _logits(arrays: dict[str, NDArray[Any]], name: str) -> NDArray[np.floating[Any]]:
    """Return log-odds, of probabilities in 64 bits: rounded to 32 some images would tie."""
    if f"{name}_logits" in arrays:
        return arrays[f"{name}_logits"]
    with np.errstate(divide="ignore"):
        first, second = np.log(arrays[name].T)
    return np.clip(second - first, -SURE, SURE)


def control_of(arms: dict[str, Any], asked: str) -> str | None:
    """Return the arm that uses copies of real images as the asked one uses GAN images."""
    for name, arm in arms.items():
        if arm["added"]["source"] == "duplicate" and use_of(arm) == use_of(arms[asked]):
            return name
    return None


def use_of(arm: dict[str, Any]) -> tuple[Any, Any]:
    """Return how an arm uses its images, whatever they are."""
    added = {k: v for k, v in arm["added"].items() if k not in ("source", "filter")}
    return {k: v for k, v in arm.items() if k not in ("title", "added")}, added


def convert_draw(result: dict[str, Any], record: dict[str, Any]) -> DrawResult:
    """Return what a draw's metrics.json says, given the hashes of its fits' predictions."""
    config = record["config"]
    study, arms = config["study"], config["arms"]
    model, classes = config["model"], result["classes"]
    for name, gan in result["gans"].items():
        of_one = name if gan_facts(model).fitted_on == "one" else None
        sources = list(classes_made(model, of_one, classes)[name])
        gan |= {"diverged": False, "chosen": gan.get("chosen"), "sources": sources}
    for name, arm in result["arms"].items():
        arm["source"] = arms[name]["added"]["source"]
        arm.setdefault("added", arm.pop("extra", None))
    for fit in result["fits"]:
        for measured in ("threshold", "npz_sha256", "last", *result["splits"]):
            fit.pop(measured, None)
        fit |= {"format": 1, "chosen": fit.get("chosen"), "reused": fit.get("reused", False)}
    quality = result["quality"]
    quality["good"] = {k: "baseline" if v == "floor" else v for k, v in quality["good"].items()}
    endpoints = [{"at": None, "smallest_effect": None} | one for one in study["endpoints"]]
    result |= {
        "format": 1,
        "headline_of": "{split} {metric}".format(**endpoints[0]),
        "folder": study["folder"],
        "endpoints": endpoints,
        "control": control_of(arms, study["question"]["arm"]),
        "repeats": study["repeats"],
        "method": {
            "data": config["data"]["name"],
            "image_size": config["data"]["image_size"],
            "channels": config["data"]["channels"],
            "batch_size": config["data"]["batch_size"],
            "classifier": config["classifier"]["name"],
            "gan": model["name"],
            "gan_batch_size": model["batch_size"] or config["data"]["batch_size"],
            "gan_select": config["study"].get("gan_select"),
        },
        "ruler": result.get("ruler"),
    }
    result.pop("primary")
    return DrawResult.parse(result, "metrics.json")


def convert_record(record: dict[str, Any]) -> RunRecord:
    """Return what a run.json says."""
    return RunRecord.parse({"format": 1, **record}, RECORD)


def convert(archives: list[Path], folder: Path) -> None:
    """Unpack old archives into a folder, in the form of today."""
    draws = {}
    patients: dict[tuple[int, str], dict[str, Any]] = {}
    for path in archives:
        archive = zipfile.ZipFile(path)
        for name in archive.namelist():
            if name.endswith(f"/{RESULT}"):
                draws[Path(name).parent] = archive
            elif name == DECLARATION:
                declared = json.loads(archive.read(name)) | {"format": 1}
                declared.pop("hash")
                Declaration.parse(declared, name).write(folder / name)
    for draw, archive in sorted(draws.items(), key=lambda one: _lacks_patients(*one)):
        result, record = (json.loads(archive.read(f"{draw}/{n}")) for n in (RESULT, RECORD))
        record = renamed(record)
        out = folder / draw
        for fit in result["fits"]:
            name = f"{draw}/fits/{fit['arm']}_{fit['repeat']}.npz"
            with np.load(io.BytesIO(archive.read(name))) as arrays:
                found = dict(arrays)
            # The same draw has the same images, under every condition of one size.
            key = (result["draw"], str(result["condition"].get("per_class")))
            predictions = predictions_of(found, patients.setdefault(key, {}))
            fit["predictions"] = hash_of(predictions)
            write_predictions(folder / name, predictions)
        convert_draw(result, record).write(out / RESULT)
        record["metrics_sha256"] = sha256_of(out / RESULT)
        convert_record(record).write(out / RECORD)


def _lacks_patients(draw: Path, archive: zipfile.ZipFile) -> tuple[bool, str]:
    name = next(n for n in archive.namelist() if n.startswith(f"{draw}/fits/real_0.npz"))
    with np.load(io.BytesIO(archive.read(name))) as arrays:
        return not any(one.endswith("_patients") for one in arrays.files), str(draw)


def main() -> None:
    """Convert the archives of one study to one archive."""
    *old, new = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as name:
        convert(old, Path(name))
        study = read_study(Path(name))
        for left_out in study.unfinished:
            raise SystemExit(str(left_out))
        write_archive(study, files_to_keep(study), new)


if __name__ == "__main__":
    main()
