"""The original project's classifier: two convolutions, two linear layers."""

from __future__ import annotations

from torch import Tensor, nn

from gan_aug.models.networks.base import ImageClassifier


class SmallCNN(ImageClassifier):
    """conv-ReLU-pool, conv-ReLU-pool, linear-ReLU, linear.

    The maximum is taken before the ReLU: the same function and gradients, at a quarter of its cost.
    The first convolution has `width` feature maps, the second twice as many; `hidden` are the units
    of the first linear layer.
    """

    def __init__(
        self, image_size: int, channels: int, classes: int, width: int, hidden: int
    ) -> None:
        super().__init__()
        side = image_size // 4
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(2 * width * side * side, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to logits (B, classes)."""
        return self.layers(images)

    def features(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to the last hidden layer (B, hidden)."""
        return self.layers[:-1](images)
