"""A generator of anybody's: what it is given, what it may return, and what its errors become."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support import BINARY

from gan_aug.data.image_table import ImageTable
from gan_aug.models.generators.base import AT_ONCE, Generator, Resumable
from gan_aug.models.generators.fitted import FittedGenerator, build
from gan_aug.runtime.errors import Diverged, GanAugError
from gan_aug.settings.class_facts import file_of, gan_facts
from gan_aug.settings.models import GeneratorSettings

Images = NDArray[np.uint8]


class Noise:
    """Images of noise about the mean of a class; spoils what it is given."""

    def __init__(self, returns: Any = None, fails_in: str = "") -> None:
        self.returns, self.fails_in = returns, fails_in

    def fit(self, images: Images, labels: NDArray[np.int64], seed: int) -> None:
        self.fail("fit")
        self.means = {label: images[labels == label].mean(axis=0) for label in np.unique(labels)}
        images[:], labels[:] = 0, 0

    def sample(self, label: int, count: int, seed: int) -> Any:
        self.fail("sample")
        random = np.random.default_rng(seed)
        made = self.means[label] + random.normal(0, 5, (count, *self.means[label].shape))
        made = made.clip(0, 255).astype(np.uint8)
        return made if self.returns is None else RETURNS[self.returns](made)

    def fail(self, method: str) -> None:
        if self.fails_in == method:
            raise KeyError("no weights\nof this name")
        if self.fails_in == f"{method} diverges":
            raise Diverged("training came to nothing; lower lr")


class Keeps(Noise):
    def keep_in(self, folder: Path) -> None:
        self.fail("keep_in")
        (folder / "kept").write_text("something")


class Careless(Noise):
    """Draws from the random numbers that all share."""

    def sample(self, label: int, count: int, seed: int) -> Any:
        shape = (count, *self.means[label].shape)
        return (np.random.rand(*shape) * 9 + torch.rand(shape).numpy() * 9).astype(np.uint8)


class Meddles(Noise):
    """Sets what all of torch computes with."""

    def fit(self, images: Images, labels: NDArray[np.int64], seed: int) -> None:
        super().fit(images, labels, seed)
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_grad_enabled(False)


RETURNS: dict[str, Any] = {
    "floats": lambda made: made / 255.0,
    "nan": lambda made: made * np.nan,
    "none": lambda made: None,
    "fewer": lambda made: made[:-1],
    "channels": lambda made: np.repeat(made, 3, axis=1),
    "tensor": lambda made: torch.from_numpy(made),
}


def table() -> ImageTable:
    random = np.random.default_rng(0)
    images = random.integers(0, 100, (12, 1, 8, 8)).astype(np.uint8)
    images[6:] += 100
    names = np.array([f"{i}" for i in range(12)])
    return ImageTable(images, np.repeat([0, 1], 6), names, names, names, BINARY)


def settings(kind: type, **arguments: Any) -> GeneratorSettings:
    target = {"_target_": f"{kind.__module__}.{kind.__qualname__}"}
    own = {"name": "mine", "kind": "generator", "fitted_on": "all"}
    return GeneratorSettings.model_validate(own | target | arguments)


def fitted(tmp_path: Path, kind: type = Noise, seed: int = 3, **arguments: Any) -> FittedGenerator:
    return FittedGenerator(settings(kind, **arguments), table(), 7, seed, tmp_path / "kept")


def test_it_needs_no_base_class() -> None:
    assert isinstance(Noise(), Generator)
    assert not isinstance(Noise(), Resumable)
    assert isinstance(Keeps(), Resumable)


def test_what_it_is_given_is_a_copy(tmp_path: Path) -> None:
    before, train = table(), table()
    FittedGenerator(settings(Noise), train, 0, 0, tmp_path)
    assert (train.images == before.images).all()
    assert (train.labels == before.labels).all()


def test_images_are_of_the_class_and_do_not_depend_on_their_number(tmp_path: Path) -> None:
    generator = fitted(tmp_path)
    many = generator.sample(1, 0, 2 * AT_ONCE + 3, seed=5)
    assert many.shape == (2 * AT_ONCE + 3, 1, 8, 8)
    assert many.mean() > 120 > generator.sample(0, 0, 10, seed=5).mean()
    assert len(np.unique(many.reshape(len(many), -1), axis=0)) == len(many)  # no block twice
    assert (generator.sample(1, 0, 7, seed=5) == many[:7]).all()
    assert (generator.sample(1, 7, AT_ONCE, seed=5) == many[7 : 7 + AT_ONCE]).all()
    assert (generator.sample(1, 0, 7, seed=6) != many[:7]).any()


def test_shared_random_numbers_are_seeded(tmp_path: Path) -> None:
    one, other = (fitted(tmp_path, Careless).sample(0, 0, 9, seed=1) for _ in range(2))
    assert (one == other).all()
    assert (fitted(tmp_path, Careless).sample(0, 0, 9, seed=2) != one).any()


def test_it_may_keep_files(tmp_path: Path) -> None:
    fitted(tmp_path, Keeps)
    assert (tmp_path / "kept" / "kept").read_text() == "something"


def test_the_fits_that_follow_are_as_without_it(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    fitted(tmp_path, Meddles)
    assert (torch.get_num_threads(), torch.get_default_dtype()) == (before, torch.float32)
    assert torch.is_grad_enabled()


def test_a_tensor_will_do(tmp_path: Path) -> None:
    made = fitted(tmp_path, returns="tensor").sample(0, 0, 3, seed=0)
    assert made.dtype == np.uint8


@pytest.mark.parametrize(
    ("returns", "says"),
    [
        ("floats", "sample returned float64 (50, 1, 8, 8), not uint8 (50, 1, 8, 8); return images"),
        ("nan", "sample returned numbers that are not finite"),
        ("none", "sample returned object (), not uint8"),
        ("fewer", "sample returned uint8 (49, 1, 8, 8), not uint8 (50, 1, 8, 8)"),
        ("channels", "sample returned uint8 (50, 3, 8, 8)"),
    ],
)
def test_what_is_no_image_is_refused(returns: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(GanAugError) as error:
        fitted(tmp_path, returns=returns).sample(0, 0, 3, seed=0)
    assert str(error.value).startswith(f"model=mine (Noise), draw 7: {says}")


@pytest.mark.parametrize("method", ["keep_in", "fit", "sample"])
def test_its_errors_are_one_line(method: str, tmp_path: Path) -> None:
    with pytest.raises(GanAugError) as error:
        fitted(tmp_path, Keeps, fails_in=method).sample(0, 0, 3, seed=0)
    line = f"model=mine (Keeps), draw 7: {method} raised KeyError: 'no weights\\nof this name'; "
    assert str(error.value).startswith(line)
    assert isinstance(error.value.__cause__, KeyError)  # for HYDRA_FULL_ERROR=1


def test_an_error_meant_for_people_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="^training came to nothing; lower lr$"):
        fitted(tmp_path, fails_in="fit diverges")


def test_what_has_no_fit_is_no_generator() -> None:
    with pytest.raises(GanAugError, match="model._target_=pathlib.Path: has no method fit; a gen"):
        build(settings(Path))


def test_what_it_is_stands_in_its_settings() -> None:
    one = settings(Keeps, returns="nan")
    assert one.module.plain() == {"_target_": f"{__name__}.Keeps", "returns": "nan"}
    assert one.called == "Keeps"
    assert gan_facts(one) == gan_facts({"kind": "generator", "fitted_on": "all"}) == ("all", False)


def test_the_file_of_a_class_is_known_by_its_bytes() -> None:
    assert file_of(f"{__name__}.Keeps") == file_of(f"{__name__}.Noise") != file_of("support.X")
    assert file_of("no_such_module.X") is file_of("sys.X") is file_of(None) is None


def test_a_class_that_a_package_takes_from_another_file_is_known_by_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in model._target_=mypackage.MyGenerator: an edit of the class must not go unnoticed."""
    package = tmp_path / "packed_generator"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from packed_generator.inside import Made, Other as Also\n"
    )
    (package / "inside.py").write_text("class Made: pass\nclass Other: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    own = hashlib.sha256((package / "inside.py").read_bytes()).hexdigest()
    for name in ("Made", "Also", "inside.Made"):
        assert file_of(f"packed_generator.{name}") == own
    assert file_of("packed_generator.NoSuch") == file_of("packed_generator.No") != own
