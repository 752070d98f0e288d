"""What loggers are sent of a study's fits: their settings, curves and final metrics.

All of it follows from a fit's result, as TensorBoard's events do (`events.py`): no logger is there
while a classifier is trained, so none can change it, or lose it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gan_aug.metrics.classification import decisions, metric_names
from gan_aug.report.metrics import MeasuredFit
from gan_aug.report.records import FitResult
from gan_aug.runtime.errors import GanAugError, said, warn
from gan_aug.runtime.files import read_json, write_json
from gan_aug.runtime.record import Run
from gan_aug.settings.study import SettledStudy
from gan_aug.study.events import DrawEvents
from gan_aug.training.loggers import Service, close_all
from gan_aug.training.plugins import Fitting, build_all

NOTE = "logged.json"
"""In a fit's folder: which loggers have it."""


class FitLogs:
    """Sends the fits of one draw to its loggers, each fit once.

    Raises:
        GanAugError: a logger cannot be built; the line names it.
    """

    def __init__(self, run: Run, settings: SettledStudy, events: DrawEvents) -> None:
        self._run, self._settings, self._events = run, settings, events
        # Before the first fit: packages that are missing, classes that there are not.
        nodes = settings.logger
        build_all({key: node for key, node in nodes.items() if key != "csv"}, "logger", self._of())

    def write_fit(self, fit: FitResult, measured: MeasuredFit) -> None:
        """Send a fit, unless an earlier attempt of the draw has."""
        path = self._run.folder / fit.name / NOTE
        done = _read(path, fit)
        for key, node in self._settings.logger.items():
            if node is None or key in done:
                continue
            try:
                loggers = build_all({key: node}, "logger", self._of(fit))
                for logger in loggers:
                    for point in fit.curve:
                        scalars = {new: point[old] for old, new in self._events.CURVE.items()}
                        logger.log_metrics(scalars, int(point["step"]))
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
            settings={} if fit is None else self._events.settings(arm, repeat),
            group=group,
        )

    def _final(self, measured: MeasuredFit) -> Mapping[str, float]:
        """Return every metric of every split, the endpoints among them."""
        usual, *others = decisions(self._events.classes)
        final: dict[str, float] = {}
        for split, of_split in measured.splits.items():
            for name in metric_names(self._events.classes):
                final[f"{split}/{name}"] = of_split[usual][name]
            final |= {f"{split}/accuracy_{how}": of_split[how]["accuracy"] for how in others}
        return final


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
