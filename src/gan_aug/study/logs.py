"""What TensorBoard and other loggers show of a study: its draws, with images, and their fits.

All of it follows from the files of a fit or a draw, once they are there. No logger is there while
a classifier is trained, so none can change it, or lose it. A draw that was stopped at any moment
has it whole in the end.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

from gan_aug.arms.base import mixing_of
from gan_aug.data.classes import Classes
from gan_aug.evaluation.measured import GENERATED
from gan_aug.metrics.classification import decisions, metric_names
from gan_aug.pages.confusion import confusion_figure
from gan_aug.report.metrics import MeasuredFit
from gan_aug.report.records import DrawResult, FitResult
from gan_aug.runtime.errors import GanAugError, said, warn
from gan_aug.runtime.files import read_json, write_json
from gan_aug.runtime.record import Run
from gan_aug.settings.study import SettledStudy
from gan_aug.training import tensorboard as board
from gan_aug.training.loggers import Service, close_all
from gan_aug.training.plugins import Fitting, build_all
from gan_aug.training.tensorboard import At

NOTE = "logged.json"
"""In a fit's folder: which loggers have it."""
_CURVE = {"train_loss": "train/loss", "val_loss": "val/loss", "val_auroc": "val/auroc"}
"""What a curve's scalars are called."""
_DPI = 80


class DrawLogs:
    """Writes TensorBoard's files of one draw, and sends its fits to the other loggers.

    Raises:
        GanAugError: a logger cannot be built; the line names it.
    """

    def __init__(self, run: Run, settings: SettledStudy, classes: Classes) -> None:
        self._run, self._settings, self._classes = run, settings, classes
        self._wanted = run.config["logger"].get("tensorboard") is not None
        # Before the first fit: packages that are missing, classes that there are not.
        nodes = settings.logger
        build_all({key: node for key, node in nodes.items() if key != "csv"}, "logger", self._of())

    def write_fit(self, fit: FitResult, measured: MeasuredFit) -> None:
        """Show a fit's curve, final metrics and settings, unless that was done since the fit."""
        if self._wanted:
            self._write_events(fit, measured)
        self._send(fit, measured)

    def write_draw(self, result: DrawResult) -> None:
        """Write real and generated images, and the GANs' quality beside each fit with them."""
        if not self._wanted:
            return
        now, folder = time.time(), self._run.folder
        grids = sorted((folder / "grids").glob("*.png"))
        if grids:
            shown = [board.picture(f"images/{path.stem}", path.read_bytes()) for path in grids]
            board.write_events(
                folder / f"{board.FIRST}draw", [At(image, 0, now) for image in shown]
            )
        quality = {
            f"quality/{metric} {name}": value
            for name, of_class in (result.quality.classes if result.quality else {}).items()
            for metric, value in of_class.values[GENERATED].items()
            if value is not None
        }
        measured = "gan" if result.gans else "folder"
        for fit in result.fits if quality else ():
            if self._settings.arms[fit.arm].added.source == measured:
                at = At(board.scalars(quality), fit.steps, now)
                board.write_events(folder / fit.name / f"{board.LAST}quality", [at])

    def _write_events(self, fit: FitResult, measured: MeasuredFit) -> None:
        path = self._run.folder / fit.name / f"{board.FIRST}fit"
        result = self._run.folder / "fits" / f"{fit.name}.json"
        if path.exists() and path.stat().st_mtime_ns >= result.stat().st_mtime_ns:
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
        for step, values in _curve(fit):
            content.append(At(board.scalars(values), step, started + step * pace))
        content.append(At(board.scalars(self._in_hparams(measured)), fit.steps, ended))
        split, png = self._settings.study.primary, io.BytesIO()
        confusion_figure(measured.splits[split], self._classes).savefig(png, format="png", dpi=_DPI)
        content.append(
            At(board.picture(f"{split}/confusion_matrix", png.getvalue()), fit.steps, ended)
        )
        rows = board.session(self._shown(fit), started)
        return [*content, *(At(summary, 0, started) for summary in rows)]

    def _send(self, fit: FitResult, measured: MeasuredFit) -> None:
        path = self._run.folder / fit.name / NOTE
        done = _read(path, fit)
        for key, node in self._settings.logger.items():
            if node is None or key in done:
                continue
            try:
                loggers = build_all({key: node}, "logger", self._of(fit))
                for logger in loggers:
                    for step, values in _curve(fit):
                        logger.log_metrics(values, step)
                    logger.log_metrics(self._final(measured), fit.steps)
                close_all(loggers)
            except Exception as error:  # of a logger of one's own: a fit is not lost for it
                reason = said(error) or type(error).__name__
                warn(f"logger.{key} has not all of {fit.name}: {reason}")
                continue
            if loggers and not any(isinstance(one, Service) and one.lost for one in loggers):
                done.append(key)
        if done:
            write_json(path, {"predictions": fit.predictions, "loggers": done})

    def _of(self, fit: FitResult | None = None) -> Fitting:
        study, folder = self._settings.study, self._run.folder
        arm, repeat = ("", 0) if fit is None else (fit.arm, fit.repeat)
        group = Path(self._settings.study_dir).name
        return Fitting(
            self._run,
            None,
            0,
            folder if fit is None else folder / fit.name,
            name=f"{group}/{study.folder}/{arm}/{repeat}",
            tags={"draw": str(self._settings.draw), "arm": arm}
            | {key: str(value) for key, value in study.condition.items()},
            settings={} if fit is None else self._shown(fit),
            group=group,
        )

    def _shown(self, fit: FitResult) -> dict[str, board.Setting]:
        """Return what is shown of a fit's settings."""
        study, arm = self._settings.study, self._settings.arms[fit.arm]
        added, made = arm.added, arm.added.source != "none"
        own = {
            "arm": fit.arm,
            "repeat": fit.repeat,
            "primary": study.primary,
            "steps": study.steps.max,
            "gan_batches": study.gan_batches,
            **study.condition,
            **board.by_class("added", added.count if made else dict.fromkeys(added.count, 0)),
            "ratio": mixing_of(arm).added_share if made else None,
            "weight": added.weight,
        }
        settings = board.settings_of(self._run.config, self._run.facts.overrides)
        return settings | {k: v for k, v in own.items() if isinstance(v, int | float | str)}

    def _in_hparams(self, fit: MeasuredFit) -> dict[str, float]:
        """Return every metric of the primary split, and accuracy and AUROC of the others.

        The tab HParams shows the first names of the alphabet, capital letters before others.
        """
        final: dict[str, float] = {}
        for tag, value in self._final(fit).items():
            split, _, name = tag.partition("/")
            if split == self._settings.study.primary:
                final[f"Primary/{name}"] = value
            elif name == "auroc" or name.startswith("accuracy"):
                final[tag] = value
        return final

    def _final(self, fit: MeasuredFit) -> dict[str, float]:
        """Return every metric of every split, the endpoints among them."""
        usual, *others = decisions(self._classes)
        final: dict[str, float] = {}
        for split, of_split in fit.splits.items():
            final |= {
                f"{split}/{name}": of_split[usual][name] for name in metric_names(self._classes)
            }
            final |= {f"{split}/accuracy_{how}": of_split[how]["accuracy"] for how in others}
        return final


def _curve(fit: FitResult) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the step and the scalars of each validation of a fit."""
    for point in fit.curve:
        yield int(point["step"]), {tag: point[name] for name, tag in _CURVE.items()}


def _read(path: Path, fit: FitResult) -> list[str]:
    """Return which loggers have a fit."""
    if not path.exists():
        return []
    try:
        content = read_json(path, "it is sent again")
    except GanAugError as error:
        warn(str(error))
        return []
    loggers = content.get("loggers")
    same = content.get("predictions") == fit.predictions and isinstance(loggers, list)
    return [key for key in loggers if isinstance(key, str)] if same and loggers else []
