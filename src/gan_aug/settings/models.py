"""Settings of networks and of what trains them: conf/model, conf/gan_augment, conf/trainer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from gan_aug.runtime.errors import GanAugError, as_typed
from gan_aug.settings.base import Node, Settings, own
from gan_aug.settings.class_facts import foreign_networks, gan_facts
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

    brightness: Annotated[float, Field(ge=0, le=2)] = own(
        "largest change of brightness, on the [-1, 1] scale"
    )
    contrast: Probability = own("largest change of contrast, as a factor about the mean")
    translation: Share = own("largest shift each way, as a share of the side")
    cutout: Share = own("side of a grey square, as a share of the side")
    flip: Probability = own("probability of a left-right flip")
    degrees: Annotated[float, Field(ge=0, le=180)] = own("largest rotation each way, in degrees")
    shift: Share = own("largest shift each way, as a share of the side")
    scale: Magnifications = own("smallest and largest magnification")


class AdaptiveNode(Node):
    """Random changes of `gan_aug.models.adaptive_augment`."""

    target: Share = own("value of E[sign(D(real))] above which the strength rises")
    ramp_images: Positive = own("real images in which the strength can rise from 0 to 1")
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
    augment: Augment = own("random changes of the unlabelled and generated images")
    threshold: Probability = own("probability from which a prediction is taken for a label")
    strong: Augment = own("random changes of the images to predict alike")
    weight: From0 = own("weight of the loss of unlabelled images")
    width: Annotated[int, Field(ge=1, le=4096)] = own(
        "feature maps of the generator next to the image"
    )
    latent_dim: Units = own("latent numbers that the generator makes an image from")
    lr: Above0 = own("learning rate of the generator")
    betas: Betas = own("betas of the generator's Adam")
    feature_weight: From0 = own("weight of matching features, for the generator")
    adversarial_weight: From0 = own("weight of passing for real, for the generator")

    def changes(self) -> dict[str, Node | None]:
        """Return the random changes of images that it has, by name."""
        there = {"augment": self.augment, "strong": self.strong}
        return {name: one for name, one in there.items() if name in self.model_fields_set}


class NetworkSettings(Settings):
    """What GANs and classifiers have in common; `own` fields are those of some of them."""

    name: str = Field(description="name in reports and folders")
    module: Node = Field(description="what is trained")
    batch_size: BatchSize = own("images in a batch, in studies and with +experiment=")
    width: Annotated[int, Field(ge=1, le=4096)] = own("feature maps of the layer next to the image")
    hidden: Units = own("units of the hidden layer")
    latent_dim: Units = own("latent numbers that an image is made from")
    blocks: Annotated[int, Field(ge=1, le=64)] = own("residual blocks")
    dropout: Share = own("share of the units that are left out in training")
    spectral_norm: bool = own("whether the discriminator's weights are normalised")


class R1Settings(Settings):
    """The penalty on the discriminator's gradient at real images."""

    gamma: From0 = Field(description="weight of the R1 penalty; 0: none")
    every: Positive = Field(description="discriminator steps from one penalty to the next")


class GrowthSettings(Settings):
    """How networks grow from 4x4."""

    fade: Annotated[float, Field(gt=0, lt=1)] = own(
        "share of training that each fade of a resolution takes"
    )
    stable: Share = own("share of training of each resolution except the last")


class GanSettings(NetworkSettings):
    """A GAN."""

    kind: Literal["gan"]
    balanced: bool = Field(description="as many images of each class in every batch")
    batch_size: BatchSize = Field(description="images in a batch, in studies and with +experiment=")
    batches: Positive = Field(
        description="batches that a GAN is trained on, where trainer.max_epochs is null"
    )
    d_steps: Positive = Field(description="discriminator steps in a cycle")
    g_steps: Positive = Field(description="generator steps that follow")
    lr_g: Above0 = Field(description="learning rate of the generator")
    lr_d: Above0 = Field(description="learning rate of the discriminator")
    betas: Betas = Field(description="betas of Adam")
    decay_from: Probability = Field(
        description="share of training after which learning rates fall; 1: never"
    )
    spectral_norm: bool = Field(description="whether the discriminator's weights are normalised")
    r1: R1Settings
    ema_decay: Share = Field(
        description="decay of the averaged generator that samples come from; 0: none"
    )
    sample_every_n_epochs: Positive = Field(
        description="epochs from one grid of samples to the next"
    )
    augment: GanAugment = Field(description="random changes of all that the discriminator sees")

    pair: ClassPair | None = own("two classes to translate between; null: the data set's two")
    loss: Literal["non_saturating", "hinge", "least_squares", "wasserstein"] = own(
        "loss of generator and discriminator"
    )
    real_label: RealLabel = own("target of real images; below 1: one-sided label smoothing")
    truncation: Annotated[float, Field(ge=0.1, le=10)] | None = own(
        "limit of latents, in standard deviations"
    )
    growth: GrowthSettings = own("how the networks grow")
    penalty: From0 = own("weight of the gradient penalty")
    drift: From0 = own("weight of the squared logits of real images")
    gamma: From0 = own("weight of R1 and R2")
    patch_layers: Annotated[int, Field(ge=1, le=3)] = own("layers of the patch discriminator")
    pool: Annotated[int, Field(ge=1, le=10_000)] = own(
        "generated images that are kept and shown again"
    )
    cycle_weight: From0 = own("weight of the cycle loss: getting the image back")
    identity_weight: From0 = own("weight of leaving an image of the class as it is")
    class_weight: From0 = own("weight of telling the classes apart")
    condition: Literal["lung_mask", "blur", "edges"] = own(
        "what the generator is shown of an image"
    )
    l1_weight: From0 = own("weight of the L1 distance to the image")

    @property
    def called(self) -> str:
        """What messages call it."""
        return "GAN"

    @model_validator(mode="after")
    def _can_be_balanced(self) -> Self:
        if self.balanced and (fitted_on := gan_facts(self).fitted_on) != "all":
            raise GanAugError(
                f"model.balanced=true: model={self.name} is fitted on {fitted_on} of the classes, "
                "not on all at once; set model.balanced=false"
            )
        return self

    @model_validator(mode="after")
    def _critic_is_bounded(self) -> Self:
        """Without a bound on its slope a Wasserstein critic's logits only grow."""
        if self.loss == "wasserstein" and not (self.spectral_norm or self.r1.gamma):
            raise GanAugError(
                "model.loss=wasserstein: nothing bounds the slope of the discriminator; set "
                "model.spectral_norm=true or model.r1.gamma=1, or choose model=wgan_gp"
            )
        return self

    @model_validator(mode="after")
    def _can_be_read_back(self) -> Self:
        for key, name in foreign_networks(self.module.plain()).items():
            raise GanAugError(
                f"model.module.{key}._target_={name:.100}: is none of gan_aug's networks, and a "
                "checkpoint may name no others; add it below gan_aug/models/networks, or use "
                "model=generator for a class of your own"
            )
        return self


class GeneratorSettings(Settings):
    """A generator that is fitted in a way of its own (`gan_aug.models.generators`).

    Further keys are arguments of the class `_target_`: with it they make up `module`.
    """

    name: str = Field(description="name in reports and folders")
    kind: Literal["generator"]
    fitted_on: Literal["one", "all"] = Field(
        description="one: a generator for each class; all: one for all classes"
    )
    source: str | None = Field(default=None, description="SHA-256 of the file of the class")
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
        """What messages call it: the name of its class."""
        return self.module.class_path.rpartition(".")[2]


class ClassifierSettings(NetworkSettings):
    """A classifier."""

    kind: Literal["classifier"]
    lr: Above0 = Field(description="learning rate")
    weight_decay: From0 = Field(description="weight decay of the optimizer")
    schedule: Literal["constant", "cosine"] = Field(description="course of the learning rate")
    patience: Positive | None = Field(
        description="epochs without a lower validation loss that end training"
    )
    pretrained: bool = own("whether to begin with weights that the library downloads")
    weights: PathText | None = own("file of weights to begin with")


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
    devices: Literal[1] = Field(description="number of devices")
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        description="of the computation; auto: bf16 where the hardware has it"
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | Auto = Field(
        default="auto", description="CPU threads; auto: as many as find an idle core"
    )
    max_epochs: Positive | None = Field(description="passes over the real training images")
    log_every_n_steps: Positive = Field(description="steps from one logged value to the next")


class CallbackNode(Node):
    """A callback of the trainer."""

    every_n_seconds: From0 = own("seconds from one checkpoint to the next")
