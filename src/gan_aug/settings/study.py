"""All settings of a study: conf/study.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.arms import ArmSettings, SettledArm
from gan_aug.settings.commands import FittingSettings, check_model
from gan_aug.settings.data import SettledData
from gan_aug.settings.design import Design, SettledDesign
from gan_aug.settings.models import ClassifierSettings, GanSettings, ImageMaker
from gan_aug.settings.values import SPLITS, Draws, PathText, Wanted


class StudySettings(FittingSettings):
    """`gan_aug.study`: one draw, all arms."""

    model: ImageMaker
    classifier: ClassifierSettings
    study_dir: PathText = Field(description="folder of the study")
    gans_dir: PathText = Field(description="folder of fitted GANs, shared by all studies")
    study: Design
    arms: Mapping[str, ArmSettings] = Field(description="arms by name")
    plan: bool = Field(default=False, description="whether to say what would run instead of it")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        study, model, data = self.study, self.model, self.data
        if isinstance(model, GanSettings):
            if any(arm.added.source == "gan" for arm in self.arms.values()):
                check_model(model, data, "model.batch_size", model.batch_size)
            if study.gan_batches is None:
                raise GanAugError(
                    "study.gan_batches=null: a GAN needs a number; set it, to 1000 say"
                )
        elif study.gan_select is not None:
            raise GanAugError(
                f"study.gan_select={study.gan_select}: chooses a GAN's weights while it trains, "
                f"and model={model.name} is no GAN; set study.gan_select=null"
            )
        if study.validate_every > study.steps.max:
            raise GanAugError(
                f"study.validate_every={study.validate_every}: is more than the "
                f"{study.steps.max} of study.steps; lower it, or raise study.steps"
            )
        if study.gan_select is None and study.gan_fits is not None:
            raise GanAugError(
                f"study.gan_fits={study.gan_fits}: one of them is taken by study.gan_select, which "
                "is null; set it, to kid say"
            )
        if study.gan_select is not None and not (study.gan_curve_points and self.quality.use):
            raise GanAugError(
                f"study.gan_select={study.gan_select}: chooses by what is measured in training; "
                "set study.gan_curve_points and quality.use"
            )
        if not self.arms:
            raise GanAugError(
                "arms: there are none; add +study=own for your own images, or another of conf/study"
            )
        if self.trainer.max_epochs is not None:
            raise GanAugError(
                f"trainer.max_epochs={self.trainer.max_epochs}: a study is measured in batches; "
                "set study.gan_batches for the GAN and study.steps for the classifier"
            )
        if data.train_class is not None or data.synthetic.dir is not None:
            raise GanAugError(
                "data.train_class, data.synthetic.dir: a study sets these itself; leave them null"
            )
        self._check_splits()
        self._check_names_of_arms()
        return self

    def _check_splits(self) -> None:
        chosen, data = self.study.splits, self.data
        known = (*SPLITS, *(data.external or {}))
        if unknown := set(chosen) - set(known):
            raise GanAugError(f"study.splits: {min(unknown)} is none of {', '.join(known)}")
        for i, one in enumerate(self.study.endpoints):
            if one.split not in known:
                raise GanAugError(
                    f"study.endpoints[{i}].split={one.split}: is none of {', '.join(known)}; a "
                    f"further test is named in data.external, as in "
                    f"'data.external={{{one.split}: DIR}}'"
                )
        measured = (*chosen, *(data.external or {}))
        for name in ("validation", *(one.split for one in self.study.endpoints)):
            if name not in measured:
                raise GanAugError(f"study.splits: lacks {name}, which is needed; add it")
        for name, key, number in (
            ("internal", "internal_per_class", data.internal_per_class),
            ("development", "development_per_class", data.development_per_class),
        ):
            if name in chosen and not number:
                raise GanAugError(
                    f"study.splits: {name} needs data.{key} above 0; set it, or leave {name} out"
                )

    def _check_names_of_arms(self) -> None:
        question, listed = self.study.question, ", ".join(self.arms)
        for key, arm in (("arm", question.arm), ("reference", question.reference)):
            if arm not in self.arms:
                raise GanAugError(
                    f"study.question.{key}={arm}: there is no such arm; name one of {listed}"
                )
        pairs = self.study.comparisons
        kept = [pair for pair in pairs if all(arm in self.arms for arm in pair)]
        for pair in pairs:
            if lacking := [arm for arm in pair if arm not in self.arms]:
                rest = ",".join(f"[{','.join(pair)}]" for pair in kept)
                raise GanAugError(
                    f"study.comparisons: [{','.join(pair)}] names the arm {lacking[0]}, there are "
                    f"{listed}; without it write 'study.comparisons=[{rest}]'"
                )


class SettledStudy(StudySettings):
    """`gan_aug.study`, once the data set has been read."""

    data: SettledData
    study: SettledDesign
    arms: Mapping[str, SettledArm]


class ExportSettings(StudySettings):
    """`gan_aug.export`: the training images of a study's draws, as files."""

    draw: Draws = Field(description="numbers of the random choices of images")  # type: ignore[assignment]
    plan: Annotated[Literal[False], Wanted("false; gan_aug.study has plans")] = Field(
        default=False, description="of no use here"
    )
    output_dir: PathText = Field(description="folder that gets a folder for each draw")
    originals: bool = Field(description="whether to link the files as they are")

    def of_draw(self, draw: int) -> StudySettings:
        """Return the settings of the study's own command for one of the draws."""
        return self.changed(StudySettings, {"draw": draw, "data.draw": draw})
