"""A search as Optuna has it: sweeps of Hydra's command line as its distributions, and its file.

The file is Optuna's journal, a JSON a line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Sweep
from omegaconf import DictConfig

from gan_aug.runtime.errors import GanAugError, said
from gan_aug.runtime.files import claim, not_writable
from gan_aug.runtime.lock import Lock

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.pruners import BasePruner

    Kind = CategoricalDistribution | FloatDistribution | IntDistribution

_CHANCE = ("draw", "seed")
"""What numbers chance: the best of these is the luckiest, no better setting."""
_FACTS = "gan_aug"
_SAYS_NOTHING = ("resume=", "verbose=")
_ELSEWHERE = "name another file with hydra.sweeper.storage=FILE, or another hydra.sweep.dir"


@dataclass(frozen=True)
class Space:
    """The settings of a search: what each may be (choices are texts), and what all trials share."""

    searched: dict[str, Kind]
    fixed: tuple[str, ...]

    def overrides(self, values: Mapping[str, object]) -> list[str]:
        """Return a job's overrides, given the value of each searched setting."""
        return [*self.fixed, *(f"{key}={value}" for key, value in values.items())]

    def suggest(self, trial: Trial) -> None:
        """Give a trial the values that it lacks; ValueError where it has one of another kind."""
        from optuna.distributions import CategoricalDistribution, IntDistribution

        for key, kind in self.searched.items():
            if isinstance(kind, CategoricalDistribution):
                trial.suggest_categorical(key, kind.choices)
            elif isinstance(kind, IntDistribution):
                trial.suggest_int(key, kind.low, kind.high, step=kind.step, log=kind.log)
            else:
                trial.suggest_float(key, kind.low, kind.high, log=kind.log)

    def example(self) -> list[str]:
        """Return the overrides of a job at an edge of the space, to compose before any starts."""
        from optuna.distributions import CategoricalDistribution

        return self.overrides(
            {
                key: kind.choices[0] if isinstance(kind, CategoricalDistribution) else kind.low
                for key, kind in self.searched.items()
            }
        )


def space_of(overrides: Sequence[str], loader: ConfigLoader) -> Space:
    """Return the search space of overrides as they are typed; of two for a setting the later.

    choice(A, B) and A,B are choices, range(INT, INT) whole numbers without the second, interval(A,
    B) numbers between the two; tag(log, ...) around the last two spreads them evenly over orders of
    magnitude. All else that sweeps is refused, and a search for nothing.
    """
    searched: dict[str, Kind] = {}
    fixed: dict[str, str] = {}
    for override in OverridesParser.create(config_loader=loader).parse_overrides(list(overrides)):
        key = override.get_key_element()
        searched.pop(key, None)
        fixed.pop(key, None)
        if override.is_sweep_override():
            searched[key] = _distribution(override)
        else:
            fixed[key] = str(override.input_line)
    if not searched:
        raise GanAugError(
            "hydra/sweeper=optuna: nothing is searched; give a setting several values, as in "
            "'model.lr=tag(log, interval(1e-4, 1e-2))' or model.width=16,32"
        )
    return Space(searched, tuple(fixed.values()))


def _distribution(override: Override) -> Kind:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if override.get_key_element().lstrip("+~") in _CHANCE:
        raise GanAugError(
            f"{override.input_line}: a search would choose the luckiest; search at one draw and "
            "seed, and repeat its best settings on others"
        )
    value = override.value()
    tags = value.tags if isinstance(value, Sweep) else set()
    shuffled = isinstance(value, ChoiceSweep | RangeSweep) and value.shuffle
    log = "log" in tags
    try:
        if shuffled or tags - {"log"} or (tags and override.is_choice_sweep()):
            pass
        elif override.is_choice_sweep():
            return CategoricalDistribution(list(override.sweep_string_iterator()))
        elif isinstance(value, RangeSweep) and isinstance(numbers := value.range(), range):
            if numbers and numbers.step >= 1:
                return IntDistribution(numbers[0], numbers[-1], log=log, step=numbers.step)
        elif isinstance(value, IntervalSweep) and value.start is not None and value.end is not None:
            return FloatDistribution(value.start, value.end, log=log)
    except ValueError as error:
        raise GanAugError(f"{override.input_line}: {said(error)}") from error
    raise GanAugError(
        f"{override.input_line}: cannot be searched; write choice(A, B), range(INT, INT), "
        "interval(A, B), or tag(log, ...) around one of the last two"
    )


@dataclass(frozen=True)
class Settings:
    """Of conf/hydra/sweeper/optuna.yaml, where they are described."""

    n_trials: int
    metric: str
    direction: Literal["minimize", "maximize"]
    seed: int
    pruner: DictConfig | None
    storage: str | None
    study_name: str


@contextmanager
def opened(path: Path, settings: Settings, space: Space, pruner: BasePruner) -> Iterator[Study]:
    """Give Optuna's study of a search, new or gone on with, in a file that may hold others.

    No other process searches with the file meanwhile.

    Raises:
        GanAugError: the file is damaged, or holds another search of this name.
    """
    lock = Lock(path.with_name(f"{path.name}.lease"), guards=path)
    if not claim(lock, wait=False):
        raise GanAugError(
            f"{path}: another command searches with this file ({lock.owner}, by {lock.path}); "
            f"wait for it, or {_ELSEWHERE}"
        )
    try:
        yield _load(path, settings, space, pruner)
    finally:
        lock.release()


def _load(path: Path, settings: Settings, space: Space, pruner: BasePruner) -> Study:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    try:
        _cut_off_half_a_line(path)
        study = optuna.create_study(
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(path))),
            study_name=settings.study_name,
            direction=settings.direction,
            pruner=pruner,
            load_if_exists=True,
        )
        _check(path, study, settings, space)
    except GanAugError:
        raise
    except OSError as error:
        raise not_writable(path, error) from error
    except Exception as error:  # whatever a damaged line leads Optuna to
        what = f"{type(error).__name__}: {said(error)}"
        raise GanAugError(
            f"{path}: is damaged ({what}); restore it, or remove it to search anew"
        ) from error
    return study


def _cut_off_half_a_line(path: Path) -> None:
    """Drop what a full disk or a crash left of a last line; the next would be joined to it."""
    if not path.exists():
        return
    if not path.is_file():  # opening a FIFO would wait for ever
        raise GanAugError(f"{path}: is no regular file; {_ELSEWHERE}")
    os.truncate(path, path.read_bytes().rfind(b"\n") + 1)


def _check(path: Path, study: Study, settings: Settings, space: Space) -> None:
    """Refuse the study of another search; note what it is if it is new."""
    from optuna.distributions import distribution_to_json

    facts = {
        "metric": settings.metric,
        "searched": {key: distribution_to_json(kind) for key, kind in space.searched.items()},
        "fixed": sorted(o for o in space.fixed if not o.startswith(_SAYS_NOTHING)),
    }
    trials = study.get_trials(deepcopy=False)
    if not trials and _FACTS not in study.user_attrs:
        study.set_user_attr(_FACTS, facts)
    stored = study.user_attrs.get(_FACTS)
    before = stored if isinstance(stored, dict) else {}
    other = [key for key, value in facts.items() if before.get(key) != value]
    if study.direction.name.lower() != settings.direction:
        other.append("direction")
    kinds = [(trial, key, kind) for trial in trials for key, kind in trial.distributions.items()]
    # The values of its trials become settings of jobs: none but those of this search may.
    if any(space.searched.get(key) != kind for _, key, kind in kinds):
        other.append("trials")
    if other:
        raise GanAugError(
            f"{path}: holds another search named {settings.study_name} (its {', '.join(other)} "
            f"differ); repeat the command of that one, or {_ELSEWHERE}"
        )
    for trial, key, kind in kinds:
        if not kind._contains(kind.to_internal_repr(trial.params[key])):
            raise GanAugError(
                f"{path}: trial {trial.number} has {key}={trial.params[key]}, which is none of "
                "what is searched; restore the file, or remove it to search anew"
            )
