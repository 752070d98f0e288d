"""Checks of a study's settings, made before anything heavy is loaded."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from gan_aug.run.errors import GanAugError
from gan_aug.settings.class_facts import gan_facts
from gan_aug.settings.endpoints import endpoints_of
from gan_aug.settings.ranges import SPLITS, STUDY_RULES, check_ranges
from gan_aug.settings.steps import steps_of


def check_study(cfg: DictConfig) -> None:
    """Check what `gan_aug.settings.checks` does not know: the study, but for its arms.

    Raises:
        GanAugError: naming the key, its value and what it may hold.
    """
    check_ranges(cfg.study, STUDY_RULES, "study.")
    steps = steps_of(cfg.study)
    if cfg.study.validate_every > steps.most:
        raise GanAugError(
            f"study.validate_every={cfg.study.validate_every}: is more than study.steps="
            f"{cfg.study.steps}"
        )
    _check_selection(cfg)
    if cfg.trainer.max_epochs is not None:
        raise GanAugError(
            f"trainer.max_epochs={cfg.trainer.max_epochs}: a study is measured in batches; set "
            "study.gan_batches for the GAN and study.steps for the classifier"
        )
    if gan_facts(cfg.model).fitted_on == "two" and cfg.model.batch_size % 2:
        raise GanAugError(
            f"model.batch_size={cfg.model.batch_size}: model={cfg.model.name} takes as many images "
            "of two classes; choose an even number"
        )
    if cfg.data.train_class is not None or cfg.data.synthetic.dir is not None:
        raise GanAugError(
            "data.train_class, data.synthetic.dir: a study sets these itself; leave them null"
        )
    _check_splits(cfg)
    question, *comparisons = asked_pairs(cfg)
    listed = ", ".join(map(str, cfg.arms))
    for key, arm in zip(("arm", "reference"), question, strict=True):
        if arm not in cfg.arms:
            raise GanAugError(
                f"study.question.{key}={arm}: there is no such arm; name one of {listed}"
            )
    kept = [list(pair) for pair in comparisons if all(arm in cfg.arms for arm in pair)]
    for pair in comparisons:
        if lacking := [arm for arm in pair if arm not in cfg.arms]:
            rest = ",".join(f"[{','.join(pair)}]" for pair in kept)
            raise GanAugError(
                f"study.comparisons: [{','.join(pair)}] names the arm {lacking[0]}, there are "
                f"{listed}; without it write 'study.comparisons=[{rest}]'"
            )


def asked_pairs(cfg: DictConfig) -> list[list[str]]:
    """Return the pairs of arms that a study names: its question, then its comparisons.

    Raises:
        GanAugError: the question is none.
    """
    if set(cfg.study.question) != {"arm", "reference"}:
        raise GanAugError(
            f"study.question={cfg.study.question}: must be {{arm: NAME, reference: NAME}}"
        )
    return [[cfg.study.question.arm, cfg.study.question.reference], *cfg.study.comparisons]


def _check_selection(cfg: DictConfig) -> None:
    """Check what a study's GANs are chosen by; whether it can choose, the metrics know."""
    study = cfg.study
    if study.gan_select is None:
        if study.gan_fits is not None:
            raise GanAugError(
                f"study.gan_fits={study.gan_fits}: one of them is taken by study.gan_select, which "
                "is null; set it, to kid say"
            )
        return
    if study.gan_curve_points is None or not cfg.quality.use:
        raise GanAugError(
            f"study.gan_select={study.gan_select}: chooses by what is measured in training; set "
            "study.gan_curve_points and quality.use"
        )


def _check_splits(cfg: DictConfig) -> None:
    chosen = OmegaConf.to_container(cfg.study.splits)
    assert isinstance(chosen, list)
    if unknown := set(chosen) - set(SPLITS):
        raise GanAugError(f"study.splits: {min(unknown)} is none of {', '.join(SPLITS)}")
    if "primary" in cfg.study:
        raise GanAugError(
            f"study.primary={cfg.study.primary}: follows from the endpoints now; write "
            f"study.endpoints: [{{split: {cfg.study.primary}, metric: accuracy}}] in its place"
        )
    endpoints = endpoints_of(cfg)
    for i, one in enumerate(endpoints):
        if one.split not in SPLITS:
            raise GanAugError(
                f"study.endpoints[{i}].split={one.split}: must be one of {', '.join(SPLITS)}"
            )
    for name in ("validation", *(one.split for one in endpoints)):
        if name not in chosen:
            raise GanAugError(f"study.splits: lacks {name}, which is needed; add it")
    for name, key in (("internal", "internal_per_class"), ("development", "development_per_class")):
        if name in chosen and not cfg.data[key]:
            raise GanAugError(
                f"study.splits: {name} needs data.{key} above 0; set it, or leave {name} out"
            )
