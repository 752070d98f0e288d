"""What TensorBoard shows of a study: a run for each draw, with its images, and one for each fit.

All of it follows from the files of a fit or a draw, once they are there: the fits know nothing of
it, and a draw that was stopped at any moment has it whole in the end.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_aug.data.classes import Classes
from gan_aug.metrics.classification import decisions, metric_names
from gan_aug.pages.confusion import confusion_figure
from gan_aug.run.files import read_json
from gan_aug.run.record import Run, read_record
from gan_aug.training.event_files import (
    FIRST,
    LAST,
    At,
    Setting,
    layout,
    picture,
    scalars,
    session,
    write_events,
)
from gan_aug.training.hparams import by_class, settings_of

_DPI = 80
_REMEDY = "repeat the command"
_CURVE = {"train_loss": "train/loss", "val_loss": "val/loss", "val_auroc": "val/auroc"}


class DrawEvents:
    """Writes the event files of one draw; none where `logger.tensorboard` is left out.

    Args:
        run: the draw's, settled.
        classes: of the data set.
    """

    def __init__(self, run: Run, classes: Classes) -> None:
        self._folder, self._config, self._classes = run.folder, run.config, classes
        self._wanted = run.config["logger"].get("tensorboard") is not None
        record = read_record(run.folder)
        self._overrides: Sequence[str] = record["overrides"] if record else []

    def write_fit(self, arm: str, repeat: int) -> None:
        """Write a fit's curve, final metrics, settings and confusion matrix, from its JSON.

        Nothing is done where that has been done since the fit.
        """
        path = self._of_fit(arm, repeat) / f"{FIRST}fit"
        result = self._folder / "fits" / f"{arm}_{repeat}.json"
        done = path.exists() and path.stat().st_mtime_ns >= result.stat().st_mtime_ns
        if not self._wanted or done:
            return
        fit = read_json(result, _REMEDY)
        ended = time.time()
        started, steps = ended - fit["seconds"], fit["steps"]
        pace = fit["seconds"] / steps
        content = [At(layout("classifier"), 0, started)]
        for point in fit["curve"]:
            values = {tag: point[name] for name, tag in _CURVE.items()}
            content.append(At(scalars(values), point["step"], started + point["step"] * pace))
        content.append(At(scalars(self._final(fit)), steps, ended))
        split, png = self._config["study"]["primary"], io.BytesIO()
        confusion_figure(fit[split], self._classes).savefig(png, format="png", dpi=_DPI)
        content.append(At(picture(f"{split}/confusion_matrix", png.getvalue()), steps, ended))
        rows = session(self._settings(arm, repeat), started)
        write_events(path, [*content, *(At(summary, 0, started) for summary in rows)])

    def write_draw(self) -> None:
        """Write real and generated images, and the quality of the GANs beside each fit with them.

        It is in metrics.json.
        """
        if not self._wanted:
            return
        now = time.time()
        grids = sorted((self._folder / "grids").glob("*.png"))
        if grids:
            shown = [picture(f"images/{path.stem}", path.read_bytes()) for path in grids]
            write_events(self._folder / f"{FIRST}draw", [At(image, 0, now) for image in shown])
        metrics = read_json(self._folder / "metrics.json", _REMEDY)
        measured = (metrics.get("quality") or {"classes": {}})["classes"]
        quality = {
            f"quality/{metric} {name}": value
            for name, of_class in measured.items()
            for metric, value in of_class["values"]["generated"].items()
            if value is not None
        }
        study = self._config["study"]
        for arm, settings in self._config["arms"].items() if quality else ():
            for repeat in range(study["repeats"]) if settings["added"]["source"] == "gan" else ():
                at = At(scalars(quality), study["steps"], now)
                write_events(self._of_fit(arm, repeat) / f"{LAST}quality", [at])

    def _of_fit(self, arm: str, repeat: int) -> Path:
        return self._folder / f"{arm}_{repeat}"

    def _final(self, fit: Mapping[str, Any]) -> dict[str, float]:
        """Return every metric of the primary split, and accuracy and AUROC of the others.

        The tab HParams shows the first names of the alphabet, capital letters before others.
        """
        study = self._config["study"]
        final: dict[str, float] = {}
        usual, *others = decisions(self._classes)
        for split in study["splits"]:
            primary = split == study["primary"]
            names = metric_names(self._classes) if primary else ("accuracy", "auroc")
            group = "Primary" if primary else split
            final |= {f"{group}/{name}": fit[split][usual][name] for name in names}
            final |= {f"{group}/accuracy_{how}": fit[split][how]["accuracy"] for how in others}
        return final

    def _settings(self, arm: str, repeat: int) -> dict[str, Setting]:
        study, added = self._config["study"], self._config["arms"][arm]["added"]
        made = added["source"] != "none"
        own = {
            "arm": arm,
            "repeat": repeat,
            "primary": study["primary"],
            "steps": study["steps"],
            "gan_batches": study["gan_batches"],
            **study["condition"],
            **by_class("added", added["count"] if made else dict.fromkeys(added["count"], 0)),
            "ratio": added["ratio"] if made else None,
            "weight": added["weight"],
        }
        settings = settings_of(self._config, self._overrides)
        return settings | {k: v for k, v in own.items() if isinstance(v, int | float | str)}
