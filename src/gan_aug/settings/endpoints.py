"""The endpoints of a study: what it is about, declared before it runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_aug.run.errors import GanAugError, as_typed
from gan_aug.settings.by_name import by_name, normal

METRICS = (
    "accuracy", "balanced_accuracy", "sensitivity", "specificity", "auroc", "auprc",
    "calibration_error",
)  # fmt: skip
AT_VALIDATION = "validation"
DECLARATION = "declaration.json"
"""In a study's folder: what it declared before its first draw."""
_EXAMPLE = "[{split: test, metric: accuracy, smallest_effect: 0.01}]"


@dataclass(frozen=True)
class Endpoint:
    """A metric on a split.

    Attributes:
        split: of the images.
        metric: of `METRICS`, or sensitivity_CLASS where no class is the positive one.
        at: the threshold of the accuracy: 0.5, or `validation`; None is 0.5.
        smallest_effect: the smallest difference that matters, as a share; None: not declared.
    """

    split: str
    metric: str
    at: Any = None
    smallest_effect: float | None = None

    @property
    def name(self) -> str:
        """The metric's name in a report."""
        at_validation = self.at == AT_VALIDATION
        return f"{self.metric}_at_validation_threshold" if at_validation else self.metric


def endpoints_of(cfg: DictConfig) -> list[Endpoint]:
    """Read a study's endpoints.

    Raises:
        GanAugError: naming what is none.
    """
    found = typed_endpoints(cfg)
    if not isinstance(found, list) or not found:
        raise GanAugError(f"study.endpoints={as_typed(found)}: must be a list, as {_EXAMPLE}")
    endpoints = [_endpoint(one, i) for i, one in enumerate(found)]
    named = [(one.split, one.name) for one in endpoints]
    if twice := [name for name in named if named.count(name) > 1]:
        raise GanAugError(
            f"study.endpoints={found}: {' '.join(twice[0])} is there twice; leave one of them out"
        )
    return endpoints


def typed_endpoints(cfg: DictConfig) -> Any:
    """Return what a study's endpoints are set to, in plain containers; a list may be text."""
    study: Any = OmegaConf.to_container(cfg.study, resolve=True)
    found = by_name(study["endpoints"])
    for one in found if isinstance(found, list) else []:
        if isinstance(one, dict) and isinstance(one.get("metric"), str):
            one["metric"] = normal(one["metric"])  # may end with the name of a class
    return found


def _endpoint(found: Any, i: int) -> Endpoint:
    key = f"study.endpoints[{i}]"
    if not isinstance(found, dict) or not {"split", "metric"} <= found.keys():
        raise GanAugError(f"{key}={found}: must be {{split: NAME, metric: NAME}}, as {_EXAMPLE}")
    if unknown := found.keys() - {"split", "metric", "at", "smallest_effect"}:
        raise GanAugError(
            f"{key}.{min(map(str, unknown))}: an endpoint has split, metric, at, smallest_effect"
        )
    metric, at, least = found["metric"], found.get("at"), found.get("smallest_effect")
    if metric not in METRICS and not str(metric).startswith("sensitivity_"):
        raise GanAugError(f"{key}.metric={metric}: must be one of {', '.join(METRICS)}")
    if at not in (None, 0.5, AT_VALIDATION) or (at == AT_VALIDATION and metric != "accuracy"):
        raise GanAugError(f"{key}.at={at}: must be 0.5 or, of the accuracy, {AT_VALIDATION}")
    if least is not None and not (
        isinstance(least, int | float) and not isinstance(least, bool) and 0 < least < 1
    ):
        raise GanAugError(
            f"{key}.smallest_effect={least}: must be a share above 0 and below 1, or null"
        )
    return Endpoint(str(found["split"]), str(metric), at, least)


def _plain(endpoint: Any) -> dict[str, Any]:
    return {key: getattr(endpoint, key) for key in ("split", "metric", "at", "smallest_effect")}


def hash_of(
    endpoints: Sequence[Any], question: tuple[str, str], comparisons: list[list[str]] | None
) -> str:
    """Return what two declarations share only if they are the same.

    Args:
        endpoints: in their order.
        question: the asked arm and its reference.
        comparisons: further pairs of arms; None of a declaration that names none, as the first
            version's did.
    """
    content: list[Any] = [[_plain(one) for one in endpoints], question]
    if comparisons is not None:
        content.append(comparisons)
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
