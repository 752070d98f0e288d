"""What a search may choose from: sweeps of Hydra's command line as Optuna's distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Sweep

from gan_aug.run.errors import GanAugError, said

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    Kind = CategoricalDistribution | FloatDistribution | IntDistribution

_CHANCE = ("draw", "seed")
"""What numbers chance: the best of these is the luckiest, no better setting."""


@dataclass(frozen=True)
class Space:
    """The settings of a search: what each may be (choices are texts), and what all trials share."""

    searched: dict[str, Kind]
    fixed: tuple[str, ...]

    def overrides(self, values: Mapping[str, object]) -> list[str]:
        """Return a job's overrides, given the value of each searched setting."""
        return [*self.fixed, *(f"{key}={value}" for key, value in values.items())]

    def suggest(self, trial: Trial) -> dict[str, object]:
        """Return a trial's values: those it has already, and others from the sampler.

        Raises:
            ValueError: it has one of another kind.
        """
        return {key: trial._suggest(key, kind) for key, kind in self.searched.items()}

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
    magnitude.

    Raises:
        GanAugError: one is something else, or nothing is searched.
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
    if tags - {"log"} or shuffled or (tags and override.is_choice_sweep()):
        _refuse(override)
    log = "log" in tags
    try:
        if override.is_choice_sweep():
            return CategoricalDistribution(list(override.sweep_string_iterator()))
        if isinstance(value, RangeSweep) and isinstance(numbers := value.range(), range):
            if not numbers or numbers.step < 1:
                _refuse(override)
            return IntDistribution(numbers[0], numbers[-1], log=log, step=numbers.step)
        if isinstance(value, IntervalSweep):
            assert value.start is not None
            assert value.end is not None
            return FloatDistribution(value.start, value.end, log=log)
    except ValueError as error:
        raise GanAugError(f"{override.input_line}: {said(error)}") from error
    _refuse(override)


def _refuse(override: Override) -> NoReturn:
    raise GanAugError(
        f"{override.input_line}: cannot be searched; write choice(A, B), range(INT, INT), "
        "interval(A, B), or tag(log, ...) around one of the last two"
    )
