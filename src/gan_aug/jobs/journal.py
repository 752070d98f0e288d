"""The file that a search is kept in: Optuna's journal, a JSON a line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gan_aug.jobs.space import Space
from gan_aug.run.errors import GanAugError, said
from gan_aug.run.files import claim, not_writable
from gan_aug.run.lock import Lock

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner

_FACTS = "gan_aug"
_SAYS_NOTHING = ("resume=", "verbose=")
_ELSEWHERE = "name another file with hydra.sweeper.storage=FILE, or another hydra.sweep.dir"


@dataclass(frozen=True)
class StoredStudy:
    """Optuna's study of a search by a metric, in a file, which may hold others."""

    path: Path
    name: str
    direction: Literal["minimize", "maximize"]
    metric: str
    space: Space

    @contextmanager
    def opened(self, pruner: BasePruner) -> Iterator[Study]:
        """Give the study, new or gone on with; no other process searches with the file meanwhile.

        Raises:
            GanAugError: another one does, or the file is damaged, of another search, or cannot be
                written.
        """
        lock = Lock(self.path.with_name(f"{self.path.name}.lease"), guards=self.path)
        if not claim(lock, wait=False):
            raise GanAugError(
                f"{self.path}: another command searches with this file ({lock.owner}, by "
                f"{lock.path}); wait for it, or {_ELSEWHERE}"
            )
        try:
            yield self._load(pruner)
        finally:
            lock.release()

    def _load(self, pruner: BasePruner) -> Study:
        import optuna
        from optuna.storages.journal import JournalFileBackend

        try:
            self._cut_off_half_a_line()
            study = optuna.create_study(
                storage=optuna.storages.JournalStorage(JournalFileBackend(str(self.path))),
                study_name=self.name,
                direction=self.direction,
                pruner=pruner,
                load_if_exists=True,
            )
            self._check(study)
        except GanAugError:
            raise
        except OSError as error:
            raise not_writable(self.path, error) from error
        except Exception as error:  # whatever a damaged line leads Optuna to
            what = f"{type(error).__name__}: {said(error)}"
            raise GanAugError(
                f"{self.path}: is damaged ({what}); restore it, or remove it to search anew"
            ) from error
        return study

    def _cut_off_half_a_line(self) -> None:
        """Drop what a full disk or a crash left of a last line; the next would be joined to it."""
        if not self.path.exists():
            return
        if not self.path.is_file():  # opening a FIFO would wait for ever
            raise GanAugError(f"{self.path}: is no regular file; {_ELSEWHERE}")
        os.truncate(self.path, self.path.read_bytes().rfind(b"\n") + 1)

    def _check(self, study: Study) -> None:
        """Refuse the study of another search; note what it is if it is new."""
        from optuna.distributions import distribution_to_json

        searched = self.space.searched
        facts = {
            "metric": self.metric,
            "searched": {key: distribution_to_json(kind) for key, kind in searched.items()},
            "fixed": sorted(o for o in self.space.fixed if not o.startswith(_SAYS_NOTHING)),
        }
        trials = study.get_trials(deepcopy=False)
        if not trials and _FACTS not in study.user_attrs:
            study.set_user_attr(_FACTS, facts)
        stored = study.user_attrs.get(_FACTS)
        before = stored if isinstance(stored, dict) else {}
        other = [key for key, value in facts.items() if before.get(key) != value]
        if study.direction.name.lower() != self.direction:
            other.append("direction")
        # The values of its trials become settings of jobs: none but those of this search may.
        if any(searched.get(key) != kind for t in trials for key, kind in t.distributions.items()):
            other.append("trials")
        if other:
            raise GanAugError(
                f"{self.path}: holds another search named {self.name} (its {', '.join(other)} "
                f"differ); repeat the command of that one, or {_ELSEWHERE}"
            )
        for trial in trials:
            for key, kind in trial.distributions.items():
                if not kind._contains(kind.to_internal_repr(trial.params[key])):
                    raise GanAugError(
                        f"{self.path}: trial {trial.number} has {key}={trial.params[key]}, "
                        "which is none of what is searched; restore the file, or remove it to "
                        "search anew"
                    )
