"""What a study declared before its first draw: endpoints, question and comparisons."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from omegaconf import DictConfig

from gan_aug.report.records import DECLARATION, Declaration
from gan_aug.run.files import not_writable
from gan_aug.run.find import find_runs
from gan_aug.settings.design import Endpoint
from gan_aug.settings.draw import draw_settings
from gan_aug.study.derived import numbers_of


def declare(cfg: DictConfig) -> None:
    """Write down the declaration of a study before it has results; it is never written again.

    A study that has results and no declaration gets none afterwards.

    Raises:
        GanAugError: it cannot be written.
    """
    folder = Path(cfg.study_dir).expanduser()
    path = folder / DECLARATION
    if path.exists() or any((run / "metrics.json").exists() for run in find_runs(folder).runs):
        return
    study = draw_settings(cfg).study
    decided = "rare" in cfg.study  # by the data, some of its numbers
    content = Declaration(
        endpoints=[Endpoint(**vars(one)) for one in study.endpoints],
        question=[study.question.arm, study.question.reference],
        comparisons=study.comparisons,
        declared=datetime.now(UTC).isoformat(timespec="seconds"),
        numbers=numbers_of(cfg) if decided else None,
        arms=[str(name) for name in cfg.arms] if decided else None,
    )
    # Draws may start at once: each writes a file of its own, and the first to name it is kept.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content.plain(), indent=2))
        if not path.exists():
            temporary.replace(path)
    except OSError as error:
        raise not_writable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
