"""What a fit gives on every split."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import BINARY

from gan_aug.data.image_table import ImageTable
from gan_aug.models.classifier import Classifier
from gan_aug.models.networks.cnn import SmallCNN
from gan_aug.report.draw_result import Shown, Used
from gan_aug.run.errors import GanAugError
from gan_aug.study.fitting import Fit, measure


def test_logits_that_are_not_finite_are_one_line() -> None:
    """Finite weights may overflow to infinite logits: they rank nothing."""
    network = SmallCNN(image_size=8, channels=1, classes=2, width=1, hidden=2)
    module = Classifier(network, [*BINARY], BINARY.positive, torch.optim.Adam, "constant", None)
    table = ImageTable(
        images=np.full((4, 1, 8, 8), 200, np.uint8),
        labels=np.array([0, 1, 0, 1]),
        patients=np.array(list("abcd")),
        paths=np.array(list("abcd")),
        hashes=np.array(list("abcd")),
        classes=BINARY,
    )
    nothing = Shown({}, {})
    fit = Fit(module.eval(), 1, None, None, 0.1, "", [], Used(nothing, nothing))
    kept = measure(fit, {"validation": table}).arrays["validation_logits"]
    assert np.isfinite(kept).all()
    with torch.no_grad():
        network.layers[-1].bias[1] = 3e38
        network.layers[-1].bias[0] = -3e38
    with pytest.raises(GanAugError, match="logits are not finite; lower classifier.lr"):
        measure(fit, {"validation": table})
