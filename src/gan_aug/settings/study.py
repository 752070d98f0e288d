"""Checks of a study's settings, made before anything heavy is loaded."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from gan_aug.run.errors import GanAugError, as_typed
from gan_aug.settings.endpoints import endpoints_of
from gan_aug.settings.gan_classes import classes_made
from gan_aug.settings.ranges import ARM_RULES, SPLITS, STUDY_RULES, check_augment, check_ranges
from gan_aug.settings.steps import steps_of


def check_study(cfg: DictConfig) -> None:
    """Check what `gan_aug.settings.checks.check_config` does not know: the study and its arms.

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
    if not cfg.arms:
        raise GanAugError(
            "arms: there are none; add +study=seed_protocol, or another of conf/study"
        )
    for name, arm in cfg.arms.items():
        if not isinstance(arm, DictConfig):
            raise GanAugError(
                f"arms.{name}={as_typed(arm)}: an arm is a group of settings, as in conf/arm; to "
                f"leave it out write '~arms.{name}'"
            )
        _check_arm(cfg, str(name), arm)
    _check_twins(cfg)
    if cfg.trainer.max_epochs is not None:
        raise GanAugError(
            f"trainer.max_epochs={cfg.trainer.max_epochs}: a study is measured in batches; set "
            "study.gan_batches for the GAN and study.steps for the classifier"
        )
    if cfg.model.fitted_on == "two" and cfg.model.batch_size % 2:
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


def _check_arm(cfg: DictConfig, name: str, arm: DictConfig) -> None:
    check_ranges(arm, ARM_RULES, f"arms.{name}.")
    for key, node in (("augment", arm.augment), ("added.augment", arm.added.augment)):
        check_augment(node, f"arms.{name}.{key}")
    if "/" in name:
        raise GanAugError(f"arms.{name}: a name of an arm holds no /, it names files")
    added = arm.added
    filtered = added.filter.min_confidence and added.source == "gan"
    judged = added.get("labels") is not None and added.source != "none"
    judged |= bool(added.get("unlabelled"))
    if (filtered or judged) and "real" not in cfg.arms:
        key = "unlabelled" if added.get("unlabelled") else "labels"
        key = "filter.min_confidence" if filtered else key
        raise GanAugError(
            f"arms.{name}.added.{key}: needs the arm real, which judges; add '+arm@arms.real=real'"
        )
    _check_companions(cfg, name, arm)
    if added.get("unlabelled"):
        _check_unlabelled(cfg, name, arm)
    if arm.get("real") is not None and (arm.added.source == "gan" or name == "real"):
        why = "is what others are compared with" if name == "real" else "its GAN saw all of them"
        raise GanAugError(
            f"arms.{name}.real={arm.real}: this arm takes all of the draw's images, {why}; leave "
            "it null, and set data.subset"
        )
    _check_pretraining(cfg, name, arm)
    if arm.added.ratio is not None and arm.added.source != "none":
        size = cfg.data.batch_size
        added = round(arm.added.ratio * size)
        if not 0 < added < size:
            left = "no added image" if added == 0 else "no real image"
            raise GanAugError(
                f"arms.{name}.added.ratio={arm.added.ratio}: leaves {left} in a batch of {size} "
                f"(data.batch_size); choose a ratio from {1 / size:.3g} to {1 - 1 / size:.3g}, or "
                "null"
            )


def _check_unlabelled(cfg: DictConfig, name: str, arm: DictConfig) -> None:
    added, model, where = arm.added, cfg.model, f"arms.{name}.added.unlabelled=true"
    if cfg.study.unlabelled is None:
        raise GanAugError(f"{where}: there are none; set study.unlabelled=NUMBER")
    if added.source not in ("gan", "real"):
        raise GanAugError(
            f"{where}: is of a GAN (source: gan) or of the images themselves (source: real), not "
            f"of source={added.source}"
        )
    if added.source == "gan" and (model.fitted_on != "one" or model.sources is not None):
        raise GanAugError(
            f"{where}: model={model.name} is fitted on classes, which unlabelled images have not; "
            "choose one that is fitted on one class, as dcgan"
        )
    others = {"added.paired": added.get("paired"), "added.twin": added.get("twin")}
    others["added.filter"] = added.filter.min_confidence or added.filter.min_distance
    if wrong := [key for key, there in others.items() if there]:
        raise GanAugError(f"{where}: {wrong[0]} has no place beside it; leave it out")


def _check_companions(cfg: DictConfig, name: str, arm: DictConfig) -> None:
    """Check the ways in which every real image of a batch has an added one with it."""
    added = arm.added
    ways = {"mixup": added.get("mixup") is not None, "paired": bool(added.get("paired"))}
    for way in (way for way, wanted in ways.items() if wanted):
        others = {"pretrain": arm.pretrain, "added.ratio": added.ratio is not None}
        others["balanced"] = arm.balanced and way == "paired"
        others["added.mixup"] = ways["mixup"] and way == "paired"
        if wrong := [key for key, there in others.items() if there]:
            raise GanAugError(
                f"arms.{name}.added.{way}={added[way]}: puts an added image with every real one, "
                f"so {wrong[0]} has no place; leave one of the two out"
            )
    if ways["mixup"] and added.source == "none":
        raise GanAugError(
            f"arms.{name}.added.mixup={added.mixup}: this arm adds no images to mix in; choose "
            "added.source=duplicate to mix real ones, or gan"
        )
    if ways["paired"] and (added.filter.min_confidence or added.filter.min_distance):
        raise GanAugError(
            f"arms.{name}.added.filter: would leave some image of added.paired alone; set both of "
            "its limits to 0"
        )
    translates = added.source == "gan" and cfg.model.sources is not None
    if ways["paired"] and not (translates or added.source == "duplicate"):
        raise GanAugError(
            f"arms.{name}.added.paired={added.paired}: an image is paired with its translation or "
            "copy; choose a model that translates (cyclegan, stargan, pix2pix), or "
            "added.source=duplicate"
        )
    if ways["paired"] and cfg.data.batch_size % 2:
        raise GanAugError(
            f"data.batch_size={cfg.data.batch_size}: arms.{name} has pairs; choose an even number"
        )


def _check_pretraining(cfg: DictConfig, name: str, arm: DictConfig) -> None:
    if not arm.pretrain:
        return
    if arm.added.ratio is not None:
        raise GanAugError(
            f"arms.{name}.added.ratio={arm.added.ratio}: pretrain={arm.pretrain} keeps added "
            "and real images apart, so a batch has no ratio; leave one of the two out"
        )
    steps, every = steps_of(cfg.study), cfg.study.validate_every
    first = round(arm.pretrain * steps.most)
    if not 0 < first < steps.most:
        raise GanAugError(
            f"arms.{name}.pretrain={arm.pretrain}: leaves no step of study.steps="
            f"{cfg.study.steps} on one of its sides; choose another, or set it to 0"
        )
    if steps.chosen and steps.most // every * every <= first:
        raise GanAugError(
            f"arms.{name}.pretrain={arm.pretrain}: leaves no validation after it to choose steps "
            f"from; lower study.validate_every={every}"
        )


def check_counts(cfg: DictConfig) -> None:
    """Check what each arm adds, once the data set has said which classes there are.

    Args:
        cfg: from `gan_aug.data.settle.settle`.

    Raises:
        GanAugError: an arm begins without images of some class, or wants GAN images of one that the
            GAN does not make.
    """
    for name, arm in cfg.arms.items():
        counts = dict(arm.added.count)
        if arm.added.source == "gan" and not arm.added.get("unlabelled"):
            _check_made(cfg, str(name), [n for n, count in counts.items() if count])
        if arm.added.get("mixup") is not None and not any(counts.values()):
            raise GanAugError(
                f"arms.{name}.added.mixup={arm.added.mixup}: needs added images, there are none; "
                f"raise arms.{name}.added.count, or study.count"
            )
        if arm.pretrain and (arm.added.source == "none" or not all(counts.values())):
            raise GanAugError(
                f"arms.{name}.pretrain={arm.pretrain}: needs added images of each class, it has "
                f"{counts}; raise arms.{name}.added.count"
            )


def _check_made(cfg: DictConfig, arm: str, wanted: list[str]) -> None:
    for name in wanted:
        train_class = name if cfg.model.fitted_on == "one" else None
        made = classes_made(cfg.model, train_class, list(cfg.data.classes))
        if name not in made:
            raise GanAugError(
                f"arms.{arm}.added.count.{name}={cfg.arms[arm].added.count[name]}: "
                f"model={cfg.model.name} makes {', '.join(made)} only; set it, or study.count, to "
                "0 for this class, or choose another model.pair"
            )


def _check_twins(cfg: DictConfig) -> None:
    """Check that the arms with images of a twin have others of the GAN itself beside them."""
    of_gans = [arm for arm in cfg.arms.values() if arm.added.source == "gan"]
    own = [arm for arm in of_gans if not arm.added.get("unlabelled")]
    if all(arm.added.get("twin") is not None for arm in own) and own:
        raise GanAugError(
            "arms: all that add GAN images have added.twin, which is another GAN beside the "
            "first; leave it null in one of them"
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
