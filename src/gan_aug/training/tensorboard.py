"""What TensorBoard shows: scalars as they come, and files that are written at one stroke.

Such a file has a name of its own in its folder, so that whoever writes it again replaces it:
nothing is there twice after a kill and a resume.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import custom_scalars, hparams

from gan_aug.runtime.files import replace_file

Setting = float | str | bool
FIRST, LAST = "events.out.tfevents.0.", "events.out.tfevents.9999999999."
"""TensorBoard reads a folder's files in the order of their names; loggers put the time there."""
LAYOUTS: dict[str, dict[str, dict[str, list[str | list[str]]]]] = {
    "classifier": {
        "Classifier": {
            "loss in training and validation": ["Multiline", ["train/loss$", "val/loss$"]],
            "AUROC in validation": ["Multiline", ["val/auroc$"]],
        }
    },
    "gan": {
        "GAN": {
            "D(x) and D(G(z))": ["Multiline", [r"score/D\[x\]", r"score/D\[G\[z\]\]"]],
            "losses of D and G": ["Multiline", ["loss/d$", "loss/g$"]],
            "KID": ["Multiline", ["quality [^/]*/kid "]],
        }
    },
}
"""Charts of the tab Custom Scalars, by kind of model. TensorBoard shows equal ones of runs once."""
_DATA = ("image_size", "batch_size", "train_class")
_HIDDEN = {
    *("name", "kind", "sample_every_n_epochs", "batches"),
    *("root", "cache_dir", "download", "on_bad_file", "on_conflict", "subset", "dir", "count"),
    *("resume", "study_dir", "gans_dir", "quality", "callbacks", "logger"),
}
"""Parts of the names of settings that change no fit, are no number, or are shown otherwise."""


class BoardLogger(TensorBoardLogger):
    """Lightning's logger, with D[x] for D(x): Custom Scalars takes what follows a ( for a run."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add scalars."""
        brackets = str.maketrans("()", "[]")
        super().log_metrics({name.translate(brackets): v for name, v in metrics.items()}, step)

    def save(self) -> None:
        """Flush; Lightning's writes an empty hparams.yaml too, through any link there."""
        self.experiment.flush()


class At(NamedTuple):
    """A summary, and when it was: after how many batches, and at which second since 1970."""

    summary: Summary
    step: int
    time: float


def write_events(path: Path, content: Iterable[At]) -> None:
    """Write an event file in one step, in place of the one there was."""
    records = io.BytesIO()
    writer = RecordWriter(records)
    writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
    for at in content:
        event = Event(wall_time=at.time, step=at.step, summary=at.summary)
        writer.write(event.SerializeToString())
    replace_file(path, lambda temporary: temporary.write_bytes(records.getvalue()))


def scalars(values: Mapping[str, float]) -> Summary:
    """Return scalars, tag to value."""
    return Summary(value=[Summary.Value(tag=t, simple_value=v) for t, v in values.items()])


def picture(tag: str, png: bytes) -> Summary:
    """Return a PNG as an image."""
    width, height = Image.open(io.BytesIO(png), formats=["PNG"]).size
    image = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=png)
    return Summary(value=[Summary.Value(tag=tag, image=image)])


def layout(kind: str) -> Summary:
    """Return what the tab Custom Scalars shows of a kind of model: `classifier` or `gan`."""
    charts: Summary = custom_scalars(LAYOUTS[kind])  # type: ignore[no-untyped-call]
    return charts


def session(settings: Mapping[str, Setting], started: float) -> list[Summary]:
    """Return a row of the tab HParams, named like the folder; its metrics are the folder's scalars.

    Which settings and metrics there are is not declared: TensorBoard would take the declaration of
    one run for all of them, and leave out what others have besides. Numbers get numeric axes;
    `started` is in seconds since 1970.
    """
    start: Summary = hparams_pb(dict(settings), trial_id="", start_time_secs=started)
    *_, end = hparams({}, {})  # type: ignore[no-untyped-call]
    return [start, end]


def settings_of(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Setting]:
    """Return what HParams shows of a run of `train` or `study`: what is used most, and was typed.

    What is null is left out. So is `model.batches`: how many were trained on, trainer.max_epochs or
    study.gan_batches says. `overrides` are the job's, from run.json.
    """
    shown = {"model": config["model"]["name"], "data": config["data"]["name"]}
    paths = [
        *(f"model.{key}" for key in config["model"]),
        *("seed", "draw", *(f"data.{key}" for key in _DATA), "trainer.max_epochs"),
    ]
    given = OverridesParser.create().parse_overrides(list(overrides))
    paths += [override.get_key_element().lstrip("+~") for override in given]
    for path in dict.fromkeys(paths):
        parts = path.split(".")
        if not _HIDDEN & set(parts):
            value: Any = config
            for key in parts:
                value = value.get(key) if isinstance(value, Mapping) else None
            shown.setdefault(path if parts[-1] in shown else parts[-1], value)
    shown |= by_class("real", config["data"]["subset"])
    if config["data"]["synthetic"]["dir"] is not None:
        shown["synthetic"] = config["data"]["synthetic"]["count"]
    return {name: v for name, v in shown.items() if isinstance(v, int | float | str)}


def by_class(name: str, counts: Mapping[str, int | None] | None) -> dict[str, int | None]:
    """Return a setting of every class, under a name each."""
    return {f"{name}_{class_name}": count for class_name, count in (counts or {}).items()}
