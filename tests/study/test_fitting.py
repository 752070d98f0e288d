"""What a fit gives on every split, and that its tests are read once."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from support import BINARY

from gan_aug.data.batches import Pool, shuffled
from gan_aug.data.datamodule import DataModule
from gan_aug.data.image_table import ImageTable
from gan_aug.models.classifier import Classifier
from gan_aug.models.fit import Fit
from gan_aug.models.networks.cnn import SmallCNN
from gan_aug.runtime.errors import GanAugError
from gan_aug.study.fits import predict


def table() -> ImageTable:
    names = np.array(list("abcd"))
    images = np.full((4, 1, 8, 8), 200, np.uint8)
    return ImageTable(images, np.array([0, 1, 0, 1]), names, names, names, BINARY)


def fitted() -> Fit:
    network = SmallCNN(image_size=8, channels=1, classes=2, width=1, hidden=2)
    module = Classifier(network, [*BINARY], BINARY.positive, torch.optim.Adam, "constant", None)
    return Fit(module.eval(), 1, 1, copy.deepcopy(module), 0.1, "", [])


def data(*splits: str) -> DataModule:
    pool = Pool(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    return DataModule(pool, shuffled(4, 2, 0), 1, table(), {name: table() for name in splits})


def test_logits_that_are_not_finite_are_one_line() -> None:
    """Finite weights may overflow to infinite logits: they rank nothing."""
    fit = fitted()
    kept = predict(fit, data("validation"))
    assert np.isfinite(kept["validation"].logits).all()
    with torch.no_grad():
        fit.module.network.layers[-1].bias[1] = 3e38
        fit.module.network.layers[-1].bias[0] = -3e38
    with pytest.raises(GanAugError, match="logits are not finite; lower classifier.lr"):
        predict(fit, data("validation"))


@pytest.mark.parametrize("split", ["test", "internal"])
def test_a_fit_of_a_study_reads_its_tests_once_at_the_end(split: str) -> None:
    """Rule 5: with the weights that validation chose and those of the last step at one reading."""
    served = data("validation", split)
    with pytest.raises(RuntimeError, match=f"the {split} images are read once, at the end"):
        predict(fitted(), served)
    served.teardown("fit")
    found = predict(fitted(), served)[split]
    assert found.last_logits is not None
    assert (found.logits == found.last_logits).all()
    with pytest.raises(RuntimeError, match=f"the {split} images are read once, at the end"):
        predict(fitted(), served)
