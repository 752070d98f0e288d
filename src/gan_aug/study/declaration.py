"""What a study declared before its first draw: endpoints and question."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from omegaconf import DictConfig

from gan_aug.run.files import write_json
from gan_aug.run.typed import to_plain
from gan_aug.settings.draw import draw_settings
from gan_aug.settings.endpoints import DECLARATION, hash_of


def declare(cfg: DictConfig) -> None:
    """Write down the declaration of a study before it has results; it is never written again.

    A study that an early version began has results and no declaration: it gets none afterwards.
    """
    folder = Path(cfg.study_dir).expanduser()
    path = folder / DECLARATION
    if path.exists() or any(folder.rglob("metrics.json")):
        return
    study = draw_settings(cfg).study
    asked = (study.question.arm, study.question.reference)
    write_json(
        path,
        {
            "endpoints": to_plain(study.endpoints),
            "question": list(asked),
            "hash": hash_of(study.endpoints, asked),
            "declared": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
