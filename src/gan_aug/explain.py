"""`python -m gan_aug.explain`: what did a GAN's two networks learn, and the classifier?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gan_aug.runtime.command_line import command
from gan_aug.runtime.errors import require

if TYPE_CHECKING:
    from gan_aug.settings.commands import ExplainSettings


@command("explain", to_go_on="repeat the command")
def main(settings: ExplainSettings) -> None:
    """Read what the GAN was fitted on, then look into it."""
    require("captum", "explain")

    from gan_aug.evaluation.subject import with_subject
    from gan_aug.interpret.command import explain
    from gan_aug.settings.commands import SettledExplain

    with_subject(settings, SettledExplain, explain)


if __name__ == "__main__":
    main()
