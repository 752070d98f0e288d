"""What a study declared before its first draw: endpoints, question and comparisons."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from gan_aug.report.records import DECLARATION, Declaration
from gan_aug.run.files import not_writable
from gan_aug.run.find import find_runs
from gan_aug.settings.study import SettledStudy
from gan_aug.study.settle import numbers_of


def declare(settings: SettledStudy) -> None:
    """Write down the declaration of a study before it has results; it is never written again.

    A study that has results and no declaration gets none afterwards.

    Raises:
        GanAugError: it cannot be written.
    """
    folder = Path(settings.study_dir).expanduser()
    path = folder / DECLARATION
    if path.exists() or any((run / "metrics.json").exists() for run in find_runs(folder).runs):
        return
    study = settings.study
    decided = study.takes_from_data  # some of its numbers
    content = Declaration(
        endpoints=study.endpoints,
        question=[study.question.arm, study.question.reference],
        comparisons=study.comparisons,
        declared=datetime.now(UTC).isoformat(timespec="seconds"),
        numbers=numbers_of(settings) if decided else None,
        arms=list(settings.arms) if decided else None,
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
