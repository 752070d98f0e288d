"""Settings of networks and of what trains them: conf/model, conf/gan_augment, conf/trainer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from gan_aug.run.errors import GanAugError, as_typed
from gan_aug.settings.base import Node, Settings, own
from gan_aug.settings.class_facts import gan_facts
from gan_aug.settings.values import (
    Above0,
    Auto,
    BatchSize,
    Betas,
    ClassPair,
    From0,
    Magnifications,
    PathText,
    Positive,
    Probability,
    RealLabel,
    Share,
    Wanted,
)

Units = Annotated[int, Field(ge=1, le=65536)]


class AugmentNode(Node):
    """Random changes of `gan_aug.models.augment`."""

    brightness: Annotated[float, Field(ge=0, le=2)] = own("added, on the [-1, 1] scale")
    contrast: Probability = own("factor about the mean, 1 -+ this")
    translation: Share = own("of the side, each way")
    cutout: Share = own("side of the hole, as a share")
    flip: Probability = own("probability of left-right")
    degrees: Annotated[float, Field(ge=0, le=180)] = own("rotation, each way")
    shift: Share = own("of the side, each way")
    scale: Magnifications = own("smallest and largest magnification")


class AdaptiveNode(Node):
    """Random changes of `gan_aug.models.adaptive_augment`."""

    target: Share = own("of E[sign(D(real))], beyond which the strength rises")
    ramp_images: Positive = own("real images that the strength needs from 0 to 1")
    most: Probability = own("the largest strength")


def _kind_of_augment(node: Any) -> str:
    name = node.get("_target_") if isinstance(node, dict) else getattr(node, "class_path", None)
    for module in ("augment", "adaptive_augment"):
        if str(name).startswith(f"gan_aug.models.{module}."):
            return module
    return "node"


_Change = Annotated[
    Annotated[AugmentNode, Tag("augment")]
    | Annotated[AdaptiveNode, Tag("adaptive_augment")]
    | Annotated[Node, Tag("node")],
    Discriminator(_kind_of_augment),
]
GanAugment = Annotated[_Change | None, Wanted("one of conf/gan_augment, or null")]
"""Random changes of all that a discriminator sees."""
Augment = Annotated[_Change | None, Wanted("one of conf/augment, or null")]
"""Random changes of a classifier's images."""


class LearnerNode(Node):
    """What a classifier learns from unlabelled images with, of `gan_aug.models.learners`."""

    batch_size: BatchSize = Field(description="unlabelled images beside a batch of labelled ones")
    augment: Augment = own("of the unlabelled and generated images")
    threshold: Probability = own("probability from which a prediction is taken for a label")
    strong: Augment = own("of the images that have to be predicted alike")
    weight: From0 = own("of the loss of unlabelled images")
    width: Annotated[int, Field(ge=1, le=4096)] = own("generator's feature maps next to the image")
    latent_dim: Units = own("numbers that an image is made from")
    lr: Above0 = own("learning rate of the generator")
    betas: Betas = own("of the generator's Adam")
    feature_weight: From0 = own("of matching features, for the generator")
    adversarial_weight: From0 = own("of passing for real, for the generator")

    def changes(self) -> dict[str, Node | None]:
        """Return the random changes of images that it has, by name."""
        there = {"augment": self.augment, "strong": self.strong}
        return {name: one for name, one in there.items() if name in self.model_fields_set}


class NetworkSettings(Settings):
    """What GANs and classifiers have in common; `own` fields are those of some of them."""

    name: str = Field(description="for people, and in names of folders")
    module: Node = Field(description="what is trained")
    batch_size: BatchSize = own("images of a batch, in studies")
    width: Annotated[int, Field(ge=1, le=4096)] = own("feature maps next to the image")
    hidden: Units = own("units of the hidden layer")
    latent_dim: Units = own("numbers that an image is made from")
    blocks: Annotated[int, Field(ge=1, le=64)] = own("residual blocks")
    dropout: Share = own("share of the units that are left out")
    spectral_norm: bool = own("whether the discriminator's weights are normalised")


class R1Settings(Settings):
    """The penalty on the discriminator's gradient at real images."""

    gamma: From0 = Field(description="weight; 0: none")
    every: Positive = Field(description="how many discriminator steps apart")


class GrowthSettings(Settings):
    """How networks grow from 4x4."""

    fade: Annotated[float, Field(gt=0, lt=1)] = own("share of training of each fade")
    stable: Share = own("share of training of each resolution but the last")


class GanSettings(NetworkSettings):
    """A GAN."""

    kind: Literal["gan"]
    balanced: bool = Field(description="as many images of each class in every batch")
    batch_size: BatchSize = Field(description="images of a batch, in studies")
    batches: Positive = Field(description="trained on, in studies")
    d_steps: Positive = Field(description="discriminator steps in a cycle")
    g_steps: Positive = Field(description="generator steps that follow")
    lr_g: Above0 = Field(description="learning rate of the generator")
    lr_d: Above0 = Field(description="learning rate of the discriminator")
    betas: Betas = Field(description="of Adam")
    decay_from: Probability = Field(description="share of training after which rates fall to 0")
    spectral_norm: bool = Field(description="whether the discriminator's weights are normalised")
    r1: R1Settings
    ema_decay: Share = Field(description="of the generator that samples come from; 0: none")
    sample_every_n_epochs: Positive = Field(description="sample grids")
    augment: GanAugment = Field(description="of all that the discriminator sees")

    pair: ClassPair | None = own("two classes; null: the data set's two")
    loss: Literal["non_saturating", "hinge", "least_squares", "wasserstein"] = own(
        "of both networks"
    )
    real_label: RealLabel = own("below 1: one-sided label smoothing")
    truncation: Annotated[float, Field(ge=0.1, le=10)] | None = own("of latents, deviations")
    growth: GrowthSettings = own("how the networks grow")
    penalty: From0 = own("weight of the gradient penalty")
    drift: From0 = own("weight of the squared logits of real images")
    gamma: From0 = own("weight of R1 and R2")
    patch_layers: Annotated[int, Field(ge=1, le=3)] = own("of the discriminator of patches")
    pool: Annotated[int, Field(ge=1, le=10_000)] = own("generated images that are shown again")
    cycle_weight: From0 = own("of getting the image back")
    identity_weight: From0 = own("of leaving an image of the class as it is")
    class_weight: From0 = own("of telling the classes apart")
    condition: Literal["lung_mask", "blur", "edges"] = own("what is shown of an image")
    l1_weight: From0 = own("of the distance to the image")

    @model_validator(mode="after")
    def _can_be_balanced(self) -> Self:
        if self.balanced and (fitted_on := gan_facts(self).fitted_on) != "all":
            raise GanAugError(
                f"model.balanced=true: model={self.name} is fitted on {fitted_on} of the classes, "
                "not on all at once; set model.balanced=false"
            )
        return self


class GeneratorSettings(Settings):
    """A generator that is fitted in a way of its own (`gan_aug.models.generators`).

    Further keys are arguments of the class `_target_`: with it they make up `module`.
    """

    name: str = Field(description="for people, and in names of folders")
    kind: Literal["generator"]
    fitted_on: Literal["one", "all"] = Field(description="of the classes, at once")
    source: str | None = Field(default=None, description="SHA-256 of the file that it lies in")
    module: Node = Field(description="what is fitted")

    @model_validator(mode="before")
    @classmethod
    def _rest_is_the_class(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        if not isinstance(named := given.get("_target_"), str) or "." not in named.strip("."):
            raise GanAugError(
                f"model._target_={as_typed(named)}: must name a class, as package.module.Class"
            )
        own = given.keys() & {"name", "kind", "fitted_on", "source"}
        node = {key: value for key, value in given.items() if key not in own}
        return {key: given[key] for key in own} | {"module": node}

    @property
    def called(self) -> str:
        """The name of its class."""
        return self.module.class_path.rpartition(".")[2]


class ClassifierSettings(NetworkSettings):
    """A classifier."""

    kind: Literal["classifier"]
    lr: Above0 = Field(description="learning rate")
    weight_decay: From0 = Field(description="of the optimiser")
    schedule: Literal["constant", "cosine"] = Field(description="of the learning rate")
    patience: Positive | None = Field(description="epochs without a lower validation loss")
    pretrained: bool = own("whether to begin with weights that the library downloads")
    weights: PathText | None = own("or with those of a file")


class FixedStepsClassifier(ClassifierSettings):
    """A classifier that is fitted for a number of batches."""

    patience: None = Field(description="there is no early stopping")


Model = Annotated[GanSettings | GeneratorSettings | ClassifierSettings, Field(discriminator="kind")]
"""What `train` fits."""
ImageMaker = Annotated[GanSettings | GeneratorSettings, Field(discriminator="kind")]
"""What makes a study's images."""


class TrainerSettings(Node):
    """Lightning's trainer; any of its arguments may be added."""

    accelerator: str = Field(description="cpu or gpu")
    devices: Literal[1] = Field(description="how many")
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        description="of floating-point numbers; auto: bf16 where the hardware computes in it"
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | Auto = Field(
        default="auto", description="of the CPU; auto: as many as are free"
    )
    max_epochs: Positive | None = Field(description="passes over the images")
    log_every_n_steps: Positive = Field(description="scalars")


class CallbackNode(Node):
    """A callback of the trainer."""

    every_n_seconds: From0 = own("how often checkpoints are written")
