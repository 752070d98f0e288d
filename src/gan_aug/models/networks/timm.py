"""Any classifier of the timm library (Wightman 2019, doi 10.5281/zenodo.4414861), by name."""

from __future__ import annotations

import difflib
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gan_aug.models.networks.base import ImageClassifier
from gan_aug.models.networks.pretrained import (
    Rescale,
    check_source,
    fetched_classifier,
    give,
    read_state,
)
from gan_aug.runtime.errors import GanAugError, require, said


class TimmClassifier(ImageClassifier):
    """A model of timm, such as convnext_atto, for images of 1 or 3 channels and any classes.

    It begins with timm's weights, or with those of a file, in timm's names. Where the model asks,
    it is made for images of `image_size`.

    Raises:
        GanAugError: timm is not installed or has no such model, or weights that cannot be had.
    """

    MIN_SIZE = 32

    def __init__(
        self,
        name: str,
        image_size: int,
        channels: int,
        classes: int,
        pretrained: bool,
        weights: str | None,
    ) -> None:
        super().__init__()
        check_source(pretrained, weights)
        body: Any = _create(name, pretrained, image_size, channels, classes)
        self.body, described = body, body.pretrained_cfg
        if weights is not None:
            first, last = described["first_conv"], described["classifier"]
            give(self.body, read_state(Path(weights).expanduser()), first, last, weights)
        foreign = pretrained or weights is not None
        mean, std = described["mean"], described["std"]
        self.rescale = Rescale(channels, mean, std) if foreign else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to logits (B, classes)."""
        return self.body(self.rescale(images))

    def features(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to what the model's last layer is given (B, F)."""
        maps = self.body.forward_features(self.rescale(images))
        return self.body.forward_head(maps, pre_logits=True)


def _create(name: str, pretrained: bool, image_size: int, channels: int, classes: int) -> nn.Module:
    require("timm", "model@classifier=timm")
    import timm

    architecture = name.split(".")[0]
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=5, cutoff=0.5)
        meant = f"did you mean {', '.join(near)}?" if near else "timm.list_models() lists its names"
        raise GanAugError(f"classifier.name={name}: timm has no such model; {meant}")

    def make() -> nn.Module:
        create = partial(timm.create_model, name, pretrained)
        create = partial(create, in_chans=channels, num_classes=classes)
        try:  # transformers are made for one size of image
            return create(img_size=image_size)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
            return create()

    if pretrained:
        made: nn.Module = fetched_classifier(name, make)
        return made
    try:
        return make()
    except Exception as error:  # assertions and shape errors of any kind, by model
        reason = said(error, 200)
        raise GanAugError(
            f"classifier.name={name}: cannot be made for images of {image_size} pixels ({reason}); "
            "choose another model or data.image_size"
        ) from error
