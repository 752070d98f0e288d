"""`python -m gan_aug.inspect`: what is in a data set, or in a set of generated images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gan_aug.runtime.command_line import command
from gan_aug.runtime.record import Run

if TYPE_CHECKING:
    from gan_aug.settings.commands import InspectSettings


@command("inspect", to_go_on="repeat the command")
def main(settings: InspectSettings) -> None:
    """Read the images and write what is found; no torch is loaded."""
    with Run(settings, anew=True) as run:  # files may have come and gone
        if settings.external.dir is not None:
            from gan_aug.inspection.external import inspect_external

            inspect_external(settings, run)
        else:
            from gan_aug.inspection.command import inspect

            inspect(settings, run)


if __name__ == "__main__":
    main()
