"""Run every command once, small and with a fixed seed, and write down its main numbers.

    python tests/golden/make.py            # of this source, into tests/golden/golden.json
    PYTHONPATH=OTHER/src python tests/golden/make.py FILE.json     # of another one

The commands are those that a user types, and the numbers are read from the files that they leave:
no module of gan_aug is imported. Where a file or key is called otherwise, change `Files`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).parents[1]))
from forking import Forker

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
KEPT = HERE / "golden.json"

# One thread, and instructions that nearly every x86 processor has: that is as far as torch, oneDNN
# and MKL can be made to compute alike on two machines. The rest is up to the processor's caches.
SAME_EVERYWHERE = {
    "OMP_NUM_THREADS": "1",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "DNNL_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
}

DATA = (
    "data=phantom", "data.source.train_per_class=200", "data.source.test_per_class=20",
    "data.image_size=32", "data.batch_size=8", "data.development_per_class=5",
    "data.val_per_class=10", "data.subset.normal=40", "data.subset.pneumonia=40",
)  # fmt: skip
TRAINER = ("trainer.threads=1", "trainer.precision=32-true")
QUALITY = (
    "quality.count=10", "quality.reference_steps=20", "quality.classifier.width=4",
    "quality.classifier.hidden=16",
)  # fmt: skip
STUDY = (
    *DATA, *TRAINER, *QUALITY, "data.internal_per_class=10", "model.width=4", "classifier.width=4",
    "classifier.hidden=16", "study.validate_every=10", "study.gan_batches=12", "study.repeats=1",
    "hydra/launcher=basic",
)  # fmt: skip
FURTHER_ARMS = ("mixup", "mixup_control", "pretrain")

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("train", "+experiment=dcgan_pneumonia", *DATA, *TRAINER, "model.width=4", "generate.count=10",
     "trainer.max_epochs=2", "trainer.log_every_n_steps=2", "hydra.run.dir=gan"),
    ("train", "+experiment=cnn_gan_aug", *DATA, *TRAINER, "model.width=4", "model.hidden=16",
     "trainer.max_epochs=2", "data.synthetic.dir=gan/synthetic", "data.synthetic.count=8",
     "hydra.run.dir=cnn"),
    ("generate", "checkpoint=gan/checkpoints/last.ckpt", "count=12", "output_dir=made", "seed=1"),
    ("evaluate", "synthetic.dir=made", *DATA, *QUALITY, "quality.fit_steps=10",
     "hydra.run.dir=evaluated"),
    ("explain", "checkpoint=gan/checkpoints/generator.safetensors", *DATA, "quality.count=10",
     "quality.reference_steps=20", "layers=[1]", "filters=2", "patches=2", "images=4",
     "hydra.run.dir=explained"),
    ("inspect", *DATA[:4], "images=2", "hydra.run.dir=inspected"),
    # Nearly all ways of training that conf/arm has, a ruler, steps and GANs chosen by validation.
    ("study", "-m", "+study=own", *STUDY, *(f"+arm@arms.{arm}={arm}" for arm in FURTHER_ARMS),
     "+arm@arms.few=gan", "arms.few.title=few", "arms.few.added.ratio=0.25",
     "arms.few.added.weight=0.5", "arms.few.added.label_smoothing=0.2",
     "arms.few.added.filter.min_confidence=0.01", "study.count=10", "study.steps.max=20",
     "study.ruler=[20,40,80]", "study.gan_curve_points=2",
     "study.gan_select=kid", "quality.use=[kid,precision_recall]", "draw=0,1", "study_dir=own"),
    # A GAN that translates, and the arms that need one.
    ("study", "+study=seed_protocol", *STUDY, "study.count=40", "study.steps=10", "model=cyclegan",
     "model.pair=[normal,pneumonia]", "+arm@arms.paired=paired",
     "+arm@arms.paired_control=paired_control", "~arms.oversample", "~arms.classic",
     "~arms.classic_gan", "~arms.more_real", "study.comparisons=[]", "quality.use=[kid]",
     "study_dir=paired"),
    # Images whose labels nobody tells.
    ("study", "+study=seed_protocol", *STUDY, "study.count={normal: 2, pneumonia: 0}",
     "study.steps=40",
     *(f"~arms.{arm}" for arm in ("oversample", "classic", "classic_gan", "more_real", "gan")),
     "+arm@arms.unlabelled_gan=unlabelled_gan", "+arm@arms.self_training=self_training",
     "classifier.lr=0.01",
     "study.unlabelled=60", "study.question={arm:unlabelled_gan,reference:real}",
     "study.comparisons=[]", "quality.use=[]", "study_dir=unlabelled"),
    # Enough draws for intervals and p values.
    ("study", "-m", "+study=calibration", *DATA, *TRAINER, "classifier.width=4",
     "classifier.hidden=8", "~arms.real_again_2", "~arms.real_again_3", "study.count=40",
     "study.steps=20", "study.validate_every=20", "classifier.lr=0.01", "quality.use=[]",
     "draw=range(0,6)", "hydra/launcher=basic", "study_dir=calibration"),
    ("report", "study_dir=own", "archive=own.zip"),
    ("status", "study_dir=own", "watch=false"),
)  # fmt: skip
TIMEOUT = 600
COLUMNS = ("threshold", "accuracy", "auroc", "auprc", "calibration_error")
"""The ends of those of results.csv that are kept."""


def machine() -> dict[str, str]:
    """Return what the last bits of all numbers depend on."""
    kind = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, value in fields.items()}
        kind = "/".join(fields.get(k, "?") for k in ("vendor_id", "cpu family", "model"))
    return {
        "processor": kind, "platform": f"{platform.system()} {platform.machine()}",
        "python": ".".join(platform.python_version_tuple()[:2]),
    } | {name: version(name) for name in ("torch", "numpy", "scipy", "pillow")}  # fmt: skip


def run_all(folder: Path, python_path: str) -> dict[str, str]:
    """Run all commands in a folder; return what `status` printed."""
    env = os.environ | SAME_EVERYWHERE
    env |= {"PYTHONPATH": python_path, "XDG_CACHE_HOME": str(folder / "cache"), "COLUMNS": "200"}
    env.pop("HYDRA_FULL_ERROR", None)
    forker = Forker()
    printed = {}
    try:
        for name, *arguments in COMMANDS:
            done = forker.run([f"gan_aug.{name}", *arguments], folder, env, TIMEOUT)
            printed[name] = done.stdout
            if done.returncode:
                print(f"{name} {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    finally:
        forker.close()
    return printed


class Files:
    """Where the numbers stand in what the commands leave: the one place for a new name."""

    def __init__(self, folder: Path, printed: dict[str, str]) -> None:
        self.folder = folder
        self.printed = printed

    def numbers(self) -> dict[str, Any]:
        """Return all kept numbers by what they are: floats, and hashes of tensors and pixels."""
        found = {}
        for command, read in (
            ("train gan", self.gan),
            ("train cnn", self.classifier),
            ("generate", lambda: pixels(self.folder / "made")),
            ("evaluate", lambda: self.quality(self.json("evaluated/metrics.json"))),
            ("explain", self.explained),
            ("inspect", self.inspected),
            ("study own", lambda: {f"draw {n}": self.draw(f"own/draw_{n}") for n in (0, 1)}),
            ("study paired", lambda: self.draw("paired/draw_0")),
            ("study unlabelled", lambda: self.draw("unlabelled/draw_0")),
            ("report own", lambda: self.report("own")),
            ("report calibration", lambda: self.report("calibration")),
            ("status", lambda: [x for x in self.printed["status"].splitlines() if "jobs:" in x]),
        ):
            try:
                found[command] = read()
            except Exception as error:
                found[command] = {"error": repr(error)}
        return found

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def gan(self) -> dict[str, Any]:
        rows = list(csv.reader((self.folder / "gan/metrics.csv").open()))
        return {
            "weights": weights(self.folder / "gan/checkpoints"),
            "images": pixels(self.folder / "gan/synthetic"),
            "losses": {
                f"{name} {step}": float(value)
                for step, name, value in rows[1:]
                if name.startswith("loss/")
            },
        }

    def classifier(self) -> dict[str, Any]:
        metrics = self.json("cnn/metrics.json")
        return {
            "weights": checkpoint(self.folder / "cnn/checkpoints/last.ckpt"),
            "batches": [metrics["trained_batches"], metrics["best_batches"]],
            "threshold": metrics["threshold"],
            "validation loss": metrics["validation"]["loss"],
            "test": metrics["test"],
        }

    def quality(self, metrics: dict[str, Any]) -> dict[str, Any]:
        return {name: of["values"] for name, of in metrics["classes"].items()}

    def explained(self) -> dict[str, Any]:
        found = self.json("explained/explain.json")
        return {k: found[k] for k in ("filters", "maps", "truncation", "projection")}

    def inspected(self) -> dict[str, Any]:
        found = self.json("inspected/inspect.json")
        return {k: found[k] for k in ("images", "patients")}

    def draw(self, name: str) -> dict[str, Any]:
        """Return the predictions of every fit, what its GANs are worth and where fits began."""
        metrics = self.json(f"{name}/metrics.json")
        with (self.folder / name).with_name("results.csv").open() as file:
            rows = {(r["draw"], r["arm"], r["repeat"]): r for r in csv.DictReader(file)}
        fits = {}
        for fit in metrics["fits"]:
            arrays = np.load(self.folder / name / "fits" / f"{fit['arm']}_{fit['repeat']}.npz")
            fits[f"{fit['arm']} {fit['repeat']}"] = {
                "began with": fit["initial_weights"],
                "steps": fit["steps"],
                "threshold": float(
                    rows[str(metrics["draw"]), fit["arm"], str(fit["repeat"])]["threshold"]
                ),
                "train loss": fit["curve"][-1]["train_loss"],
                "validation loss": fit["curve"][-1]["val_loss"],
                **{
                    split: array_of(arrays[f"{split}_logits"])
                    for split in ("validation", "internal", "test")
                    if f"{split}_logits" in arrays
                },
            }
        return {"fits": fits, "quality": self.quality(metrics.get("quality") or {"classes": {}})}

    def report(self, name: str) -> dict[str, Any]:
        """Return the table of all results, and the comparisons with their intervals."""
        summary = self.json(f"{name}/summary.json")
        rows = csv.DictReader((self.folder / name / "results.csv").open())
        verdicts = {}
        for v in summary["verdicts"]:
            where = f"{v['endpoint']['split']} {v['endpoint']['metric']}"
            columns = ("mean", "sd", "low", "high", "p", "p_holm", "p_equivalent", "word")
            verdicts[f"{where}: {v['arm']}, {v['reference']}"] = {key: v[key] for key in columns}
        return {
            "rows": {
                f"{row['draw']} {row['arm']} {row['repeat']}": {
                    key: float(value) for key, value in row.items() if key.endswith(COLUMNS)
                }
                for row in rows
            },
            "verdicts": verdicts,
            "worth": {
                f"{one['split']} {one['metric']}": {
                    arm: of["rate"] for arm, of in one["arms"].items()
                }
                for one in summary["worth"] or []
            },
        }


def array_of(array: np.ndarray) -> dict[str, Any]:
    """Return an array's hash and, for machines that round otherwise, its mean and spread."""
    data = f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes()
    return {
        "hash": hashlib.sha256(data).hexdigest()[:16],
        "mean": float(array.mean(dtype=float)),
        "sd": float(array.std(dtype=float)),
    }


def tensors(named: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return hashes of all arrays of numbers, whatever they are called and in whatever order."""
    kept = [array for array in named.values() if array.dtype.kind == "f" and array.ndim]
    values = np.concatenate([array.ravel() for array in kept]).astype(float)
    return {
        "hashes": sorted(array_of(array)["hash"] for array in kept),
        "size": values.size,
        "rms": float(np.sqrt(np.mean(values**2))),
    }


def weights(folder: Path) -> dict[str, Any]:
    return tensors(load_file(folder / "generator.safetensors"))


def checkpoint(path: Path) -> dict[str, Any]:
    import torch

    state = torch.load(path, weights_only=True)["state_dict"]
    return tensors({name: tensor.numpy() for name, tensor in state.items()})


def pixels(folder: Path) -> dict[str, Any]:
    """Return the hash and the mean of every image of a synthetic set."""
    return {
        str(path.relative_to(folder)): array_of(np.asarray(Image.open(path)))
        for path in sorted(folder.rglob("*.png"))
    }


def flat(content: Any, title: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every number and hash by its whole title: a line of the file each."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from flat(value, f"{title} | {key}" if title else str(key))
    elif content is not None:
        yield title, content


def make(python_path: str | None = None) -> dict[str, Any]:
    """Run everything; return the machine and the numbers."""
    where = python_path or os.environ.get("PYTHONPATH") or str(SOURCE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        numbers = Files(folder, run_all(folder, where)).numbers()
    return {"machine": machine(), "numbers": dict(flat(numbers))}


if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else KEPT
    target.write_text(json.dumps(make(), indent=1) + "\n")
