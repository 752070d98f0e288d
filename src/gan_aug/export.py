"""`python -m gan_aug.export`: the training images of a study's draws, as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig

from gan_aug.runtime.arguments import typed_settings
from gan_aug.runtime.command_line import command

if TYPE_CHECKING:
    from gan_aug.settings.study import ExportSettings


@command("export", to_go_on="repeat the command", several="draw")
def main(settings: ExportSettings) -> None:
    """Read the data once, write a folder for each draw; no torch is loaded."""
    from gan_aug.study.export import export_draws

    sweeper, typed = HydraConfig.get().sweeper, typed_settings()
    varied = dict(sweeper.get("params") or {})
    export_draws(settings, {key: varied[key] for key in varied if key not in typed})


if __name__ == "__main__":
    main()
