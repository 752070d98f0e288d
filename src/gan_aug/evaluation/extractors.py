"""Feature extractors: what FID, KID, precision and the like compare images by.

Each function takes the reference classifier and returns an `Extractor`; conf/extractor names one.
Weights that are not on disk are downloaded by their libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.data.batches import to_float
from gan_aug.data.image_table import Images
from gan_aug.evaluation.reference_classifier import ReferenceClassifier
from gan_aug.models.classifier import weights_hash
from gan_aug.models.networks.pretrained import fetched
from gan_aug.models.networks.resnet import IMAGENET
from gan_aug.runtime.errors import GanAugError, require

BATCH = 100


@torch.no_grad()
def in_parts(images: Images, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Return what a function of uint8 images (B, C, H, W) makes of all N, some at once."""
    parts = [function(torch.tensor(images[i : i + BATCH])) for i in range(0, len(images), BATCH)]
    return torch.cat(parts)


@dataclass(frozen=True)
class Extractor:
    """Images to features."""

    name: str
    """What it is, with its weights."""
    sha256: str
    network: Callable[[Tensor], Tensor]
    """Uint8 images (B, C, H, W) to features (B, F)."""

    @property
    def label(self) -> str:
        """The name that stands with every number: no number of one is comparable with another's."""
        return f"{self.name}-{self.sha256[:8]}"

    def __call__(self, images: Images) -> Tensor:
        """Return float32 features (N, F) of uint8 images (N, C, H, W)."""
        return in_parts(images, self.network).float()


def reference_features(classifier: ReferenceClassifier) -> Extractor:
    """Return the reference classifier's last hidden layer, scaled; works offline."""
    features, scale = classifier.module.network.features, classifier.feature_scale
    return Extractor("cnn", classifier.sha256, lambda x: features(to_float(x)) / scale)


def _sized(images: Tensor, size: int, channels: int) -> Tensor:
    """Return float images in [0, 1] of the side and channels that a network was trained on."""
    scaled = images.float() / 255
    if scaled.shape[1] != channels:
        scaled = scaled.mean(dim=1, keepdim=True).expand(-1, channels, -1, -1)
    return F.interpolate(scaled, size=(size, size), mode="bilinear", antialias=True)


def _get(name: str, load: Callable[[], Any]) -> Any:
    return fetched(f"extractor={name}: its weights", load, "use extractor=cnn")


def torchvision_features(classifier: ReferenceClassifier, model: str, weights: str) -> Extractor:
    """Return the penultimate layer of a torchvision classifier, such as resnet18, before its `fc`.

    Its weights are such as IMAGENET1K_V1.

    Raises:
        GanAugError: weights that cannot be had, or a model that ends otherwise.
    """
    from torchvision import models

    network = _get("torchvision", lambda: models.get_model(model, weights=weights))
    if not hasattr(network, "fc"):
        raise GanAugError(
            f"quality.extractor.model={model}: does not end in a layer `fc`; choose one that does, "
            "such as resnet18"
        )
    network.fc = nn.Identity()
    network.eval()
    mean, std = (torch.tensor(x)[:, None, None] for x in IMAGENET)

    def features(images: Tensor) -> Any:
        return network((_sized(images, 224, 3) - mean) / std)

    return Extractor(f"{model}-{weights}", weights_hash(network), features)


def torchxrayvision_features(classifier: ReferenceClassifier, weights: str) -> Extractor:
    """Return the pooled features of a TorchXRayVision DenseNet, which was trained on chest X-rays.

    Its weights are such as densenet121-res224-all (Cohen et al. 2022, arXiv:2111.00595).
    """

    def load() -> Any:
        require("torchxrayvision", "extractor=torchxrayvision")
        import torchxrayvision

        return torchxrayvision.models.DenseNet(weights=weights)

    network = _get("torchxrayvision", load).eval()

    def features(images: Tensor) -> Any:
        # The library's own scale: -1024 to 1024, one channel.
        return network.features2((_sized(images, 224, 1) * 2 - 1) * 1024)

    return Extractor(weights, weights_hash(network), features)


def inception_features(classifier: ReferenceClassifier, layer: str) -> Extractor:
    """Return a layer of torch-fidelity's Inception v3, which FID and KID are published with.

    The layer is `64`, `192`, `768` or `2048`.
    """

    def load() -> Any:
        require("torch_fidelity", "extractor=inception")
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        return FeatureExtractorInceptionV3("inception-v3-compat", [layer])

    network = _get("inception", load).eval()

    def features(images: Tensor) -> Any:
        colours = images if images.shape[1] == 3 else images[:, :1].expand(-1, 3, -1, -1)
        return network(colours)[0]  # it resizes to 299 and scales by itself

    return Extractor(f"inception-{layer}", weights_hash(network), features)
