"""ResNet-18 (He et al. 2016, arXiv:1512.03385), as torchvision has it."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from gan_aug.models.networks.base import ImageClassifier
from gan_aug.models.networks.pretrained import (
    Rescale,
    check_source,
    fetched_classifier,
    give,
    read_state,
)

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of its channels, in [0, 1]."""


class ResNet18(ImageClassifier):
    """torchvision's ResNet-18 for images of 1 or 3 channels and any number of classes.

    It begins with torchvision's ImageNet weights, or with those of a file, in torchvision's names.

    Raises:
        GanAugError: weights that cannot be had, or of another network.
    """

    MIN_SIZE = 32

    def __init__(self, channels: int, classes: int, pretrained: bool, weights: str | None) -> None:
        super().__init__()
        from torchvision.models import ResNet18_Weights, resnet18

        check_source(pretrained, weights)
        self.body = resnet18(weights=None)
        self.body.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self.body.fc = nn.Linear(self.body.fc.in_features, classes)
        if pretrained:
            usual = ResNet18_Weights.IMAGENET1K_V1
            state = fetched_classifier("resnet18", lambda: usual.get_state_dict(check_hash=True))
            give(self.body, state, "conv1", "fc", "torchvision")
        elif weights is not None:
            give(self.body, read_state(Path(weights).expanduser()), "conv1", "fc", weights)
        foreign = pretrained or weights is not None
        self.rescale = Rescale(channels, *IMAGENET) if foreign else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to logits (B, classes)."""
        return self.body.fc(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to the pooled features (B, 512)."""
        body = self.body
        x = body.maxpool(body.relu(body.bn1(body.conv1(self.rescale(images)))))
        x = body.layer4(body.layer3(body.layer2(body.layer1(x))))
        return body.avgpool(x).flatten(1)
