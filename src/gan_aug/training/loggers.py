"""Services that follow fits, W&B and MLflow: they can neither change a fit nor lose one."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch.loggers import MLFlowLogger, WandbLogger
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.seed import isolate_rng

from gan_aug.runtime.errors import require, said, warn
from gan_aug.training.plugins import Fitting

_SECONDS = 20
"""How long W&B is waited for, and MLflow for each answer."""
_LONGEST = 128
"""Characters that W&B takes in a name."""
_NO_NAME = re.compile(r"[^\w/. -]+", re.ASCII)
"""What MLflow refuses in a metric's name."""
_TAG = "gan_aug.id"
_PASSWORD = re.compile(r"(?<=://)[^/\s]*@")
"""User and password in an address, which libraries repeat in their messages."""


class Service(Logger, ABC):
    """Sends scalars and settings to a service, over Lightning's logger for it.

    It is opened when there is something to send. What fails then or later is a warning, and nothing
    more is sent of this fit. Random numbers stay as they are, whatever the service draws.

    Attributes:
        title: what it is called.
        key: its setting.
        lost: whether something could not be sent.
    """

    title: ClassVar[str]
    key: ClassVar[str]

    def __init__(self, fitting: Fitting) -> None:
        super().__init__()
        self.fitting, self.lost = fitting, False
        self._logger: Any = None

    @property
    def name(self) -> str:
        """The name of the run in the service."""
        return self.fitting.name

    @property
    def version(self) -> str:
        """What the run is known by: the same when it is gone on with."""
        return hashlib.sha256(self.fitting.identity.encode()).hexdigest()[:16]

    @abstractmethod
    def open(self) -> Logger:
        """Return Lightning's logger of the run, begun or gone on with, which has the settings."""

    @abstractmethod
    def end(self, logger: Any, status: str) -> None:
        """End the run, as a `success` or `failed`."""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Leave these: the settings are sent when it is opened."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send scalars."""
        self._try(lambda logger: logger.log_metrics(dict(metrics), step))

    def finalize(self, status: str) -> None:
        """End a run that failed; one that did not has its test metrics still before it."""
        if status != "success":
            self.close(status)

    def close(self, status: str = "success") -> None:
        """End the run in the service, if it was begun; one that lacks something failed."""
        logger = self._logger
        if logger is not None and self.lost:  # which was said
            with isolate_rng(include_cuda=False), suppress(Exception):
                self.end(logger, "failed")
        elif logger is not None:
            self._try(lambda _: self.end(logger, status))
        self._logger = None

    def _try(self, act: Callable[[Any], None]) -> None:
        if self.lost:
            return
        with isolate_rng(include_cuda=False):
            try:
                if self._logger is None:
                    self._logger = self.open()
                act(self._logger)
            except Exception as error:
                self.lost = True
                warn(f"{self.key}: {_reason(error)}; {self.title} lacks {self.name}, which goes on")


class WandB(Service):
    """Weights & Biases; where it cannot be reached, or nobody is logged in, its files stay here.

    Raises:
        GanAugError: it is not installed.
    """

    title, key = "W&B", "logger.wandb"

    def __init__(self, fitting: Fitting, project: str, entity: str | None, offline: bool) -> None:
        require("wandb", self.key)
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        super().__init__(fitting)
        self.project, self.entity, self.offline = project, entity, offline

    def open(self) -> Logger:
        """Begin a run, or go on with it; offline where there is no other way."""
        import wandb

        folder = self.fitting.folder
        folder.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {
            "project": self.project,
            "entity": self.entity,
            "name": self.name[:_LONGEST],  # a folder's may be longer
            "group": self.fitting.group and self.fitting.group[:_LONGEST],
            "tags": [f"{key} {value}"[:64] for key, value in self.fitting.tags.items()],
            "dir": str(folder),
            "id": self.version,
            "resume": "allow",
            "reinit": "create_new",
            "settings": wandb.Settings(
                console="off",
                silent=True,
                disable_git=True,
                init_timeout=_SECONDS,
                login_timeout=_SECONDS,
            ),
        }
        run = None
        if not self.offline and self.key not in self.fitting.run.away:
            try:
                with _nobody_to_ask():
                    run = wandb.init(**options)
            except Exception as error:
                self.fitting.run.away.add(self.key)
                warn(
                    f"{self.key}: {_reason(error)}; runs are kept in {folder / 'wandb'} and the "
                    "like, `wandb sync` sends them"
                )
        if run is None:
            run = wandb.init(**options, mode="offline")
        run.define_metric("trainer/global_step")
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        self._logger = logger = WandbLogger(experiment=run)  # `close` ends it, whatever comes now
        logger.log_hyperparams(dict(self.fitting.settings))
        return logger

    def end(self, logger: Any, status: str) -> None:
        """Send the rest and end the run."""
        logger.experiment.finish(exit_code=int(status != "success"))


class MLflow(Service):
    """MLflow, a server's or a file of one's own.

    An address of the environment is not among the settings, which are kept: it may hold a password.

    Raises:
        GanAugError: it is not installed.
    """

    title, key = "MLflow", "logger.mlflow"

    def __init__(self, fitting: Fitting, experiment: str, tracking_uri: str | None) -> None:
        require("mlflow", self.key)
        # A server that is away must not hold a fit for the minutes that MLflow would try.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(_SECONDS))
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        super().__init__(fitting)
        uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///runs/mlflow.db"
        self.experiment_name, self.tracking_uri = experiment, uri
        self.lost = uri in fitting.run.away  # which was said

    def open(self) -> Logger:
        """Begin a run in the experiment, or go on with the one that has this identity.

        It is sent the settings that it lacks; of the others MLflow keeps the first value.
        """
        from mlflow.exceptions import MlflowException

        for name in ("mlflow", "alembic", "urllib3"):
            logging.getLogger(name).setLevel(logging.ERROR)
        uri = self.tracking_uri
        if uri.startswith("sqlite:///"):
            Path(uri.removeprefix("sqlite:///")).absolute().parent.mkdir(
                parents=True, exist_ok=True
            )

        tags = self.fitting.tags | {_TAG: self.version}
        if self.fitting.group:
            tags |= {"group": self.fitting.group}

        def logger(run_id: str | None) -> MLFlowLogger:
            return MLFlowLogger(
                self.experiment_name, self.name, tracking_uri=uri, tags=tags, run_id=run_id
            )

        made, settings = logger(None), dict(self.fitting.settings)
        client: Any = made._mlflow_client
        try:
            experiment = client.get_experiment_by_name(self.experiment_name)
        except MlflowException:
            self.fitting.run.away.add(uri)
            raise
        if experiment is None:
            with suppress(MlflowException):  # another process was faster
                client.create_experiment(self.experiment_name)
        elif same := client.search_runs(
            [experiment.experiment_id], f"tags.`{_TAG}` = '{self.version}'"
        ):
            made = logger(same[0].info.run_id)
            settings = {k: v for k, v in settings.items() if k not in same[0].data.params}
        self._logger = made  # `close` ends it, whatever comes now
        if settings:
            made.log_hyperparams(settings)
        return made

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send scalars, under names that MLflow takes: D_x for D(x)."""
        taken = {
            _NO_NAME.sub("_", k.replace(")", "")): float(value) for k, value in metrics.items()
        }
        super().log_metrics(taken, step)

    def end(self, logger: Any, status: str) -> None:
        """Mark the run as finished or failed."""
        logger.finalize(status)


def _reason(error: Exception) -> str:
    reason = _PASSWORD.sub("", said(error))[:200]
    return reason.rstrip(".") or type(error).__name__


def close_all(loggers: Iterable[Any]) -> None:
    """Finish loggers after the last that is logged."""
    for logger in loggers:
        logger.finalize("success")
        if isinstance(logger, Service):
            logger.close()


@contextmanager
def _nobody_to_ask() -> Iterator[None]:
    """Let W&B find no terminal: it would ask there for a login, and a study would wait."""
    before = sys.stdin
    with open(os.devnull) as nothing:
        sys.stdin = nothing
        try:
            yield
        finally:
            sys.stdin = before
