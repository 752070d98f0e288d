"""What TensorBoard shows of a study: a run for each draw, with its images, and one for each fit.

All of it follows from the files of a fit or a draw, once they are there: the fits know nothing of
it, and a draw that was stopped at any moment has it whole in the end.
"""

from __future__ import annotations

import io
import time
from typing import ClassVar

from gan_aug.arms.base import mixing_of
from gan_aug.data.classes import Classes
from gan_aug.evaluation.measured import GENERATED
from gan_aug.metrics.classification import decisions, metric_names
from gan_aug.pages.confusion import confusion_figure
from gan_aug.report.metrics import MeasuredFit
from gan_aug.report.records import DrawResult, FitResult
from gan_aug.runtime.errors import warn
from gan_aug.runtime.record import Run
from gan_aug.settings.study import SettledStudy
from gan_aug.training import tensorboard as board
from gan_aug.training.tensorboard import At

_DPI = 80


class DrawEvents:
    """Writes the event files of one draw; none where `logger.tensorboard` is left out."""

    CURVE: ClassVar = {"train_loss": "train/loss", "val_loss": "val/loss", "val_auroc": "val/auroc"}
    """What a curve's scalars are called."""

    def __init__(self, run: Run, settings: SettledStudy, classes: Classes) -> None:
        self._folder, self._config, self.classes = run.folder, run.config, classes
        self._study = settings
        self._wanted = run.config["logger"].get("tensorboard") is not None
        self._overrides = run.facts.overrides

    def write_fit(self, fit: FitResult, measured: MeasuredFit) -> None:
        """Write a fit's curve, final metrics, settings and confusion matrix.

        Nothing is done where that has been done since the fit.
        """
        path = self._folder / fit.name / f"{board.FIRST}fit"
        result = self._folder / "fits" / f"{fit.name}.json"
        done = path.exists() and path.stat().st_mtime_ns >= result.stat().st_mtime_ns
        if not self._wanted or done:
            return
        try:
            board.write_events(path, self._events(fit, measured))
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            # TensorBoard's picture is no result, and an earlier attempt's file may lack things.
            warn(f"{result}: TensorBoard cannot show it ({type(error).__name__}: {error})")

    def _events(self, fit: FitResult, measured: MeasuredFit) -> list[At]:
        ended = time.time()
        started, pace = ended - fit.seconds, fit.seconds / fit.steps
        content = [At(board.layout("classifier"), 0, started)]
        for point in fit.curve:
            values, step = (
                {tag: point[name] for name, tag in self.CURVE.items()},
                int(point["step"]),
            )
            content.append(At(board.scalars(values), step, started + step * pace))
        content.append(At(board.scalars(self._final(measured)), fit.steps, ended))
        split, png = self._study.study.primary, io.BytesIO()
        confusion_figure(measured.splits[split], self.classes).savefig(png, format="png", dpi=_DPI)
        content.append(
            At(board.picture(f"{split}/confusion_matrix", png.getvalue()), fit.steps, ended)
        )
        rows = board.session(self.settings(fit.arm, fit.repeat), started)
        return [*content, *(At(summary, 0, started) for summary in rows)]

    def write_draw(self, result: DrawResult) -> None:
        """Write real and generated images, and the GANs' quality beside each fit with them."""
        if not self._wanted:
            return
        now = time.time()
        grids = sorted((self._folder / "grids").glob("*.png"))
        if grids:
            shown = [board.picture(f"images/{path.stem}", path.read_bytes()) for path in grids]
            board.write_events(
                self._folder / f"{board.FIRST}draw", [At(image, 0, now) for image in shown]
            )
        quality = {
            f"quality/{metric} {name}": value
            for name, of_class in (result.quality.classes if result.quality else {}).items()
            for metric, value in of_class.values[GENERATED].items()
            if value is not None
        }
        measured = "gan" if result.gans else "folder"
        for fit in result.fits if quality else ():
            if self._study.arms[fit.arm].added.source == measured:
                at = At(board.scalars(quality), fit.steps, now)
                board.write_events(self._folder / fit.name / f"{board.LAST}quality", [at])

    def _final(self, fit: MeasuredFit) -> dict[str, float]:
        """Return every metric of the primary split, and accuracy and AUROC of the others.

        The tab HParams shows the first names of the alphabet, capital letters before others.
        """
        final: dict[str, float] = {}
        usual, *others = decisions(self.classes)
        for split in self._study.study.splits:
            primary = split == self._study.study.primary
            names = metric_names(self.classes) if primary else ("accuracy", "auroc")
            group = "Primary" if primary else split
            final |= {f"{group}/{name}": fit.splits[split][usual][name] for name in names}
            final |= {
                f"{group}/accuracy_{how}": fit.splits[split][how]["accuracy"] for how in others
            }
        return final

    def settings(self, arm: str, repeat: int) -> dict[str, board.Setting]:
        """Return what is shown of a fit's settings."""
        study, added = self._study.study, self._study.arms[arm].added
        made = added.source != "none"
        own = {
            "arm": arm,
            "repeat": repeat,
            "primary": study.primary,
            "steps": study.steps.max,
            "gan_batches": study.gan_batches,
            **study.condition,
            **board.by_class("added", added.count if made else dict.fromkeys(added.count, 0)),
            "ratio": mixing_of(self._study.arms[arm]).added_share if made else None,
            "weight": added.weight,
        }
        settings = board.settings_of(self._config, self._overrides)
        return settings | {k: v for k, v in own.items() if isinstance(v, int | float | str)}
