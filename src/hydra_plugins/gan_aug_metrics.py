"""A choice of Hydra: `/metric@metrics: every` is all files of conf/metric, by their names."""

from __future__ import annotations

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from gan_aug.settings.groups import conf_dir

_EVERY = {
    path.stem: OmegaConf.load(path) for path in sorted((conf_dir() / "metric").glob("*.yaml"))
}
ConfigStore.instance().store(group="metric", name="every", node=_EVERY, provider="gan_aug")
