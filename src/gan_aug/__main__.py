"""`python -m gan_aug`: the commands there are; `python -m gan_aug COMMAND ...` runs one."""

from __future__ import annotations

import difflib
import runpy
import sys

from gan_aug.runtime.terminal import ends_with_its_reader

COMMANDS = {
    "inspect": "what is in a data set: classes, splits, patients, duplicates, skipped files",
    "train": "fit one GAN or one classifier",
    "generate": "write images from a GAN's checkpoint",
    "evaluate": "how good generated images are, beside unseen real ones",
    "explain": "what a GAN's networks learned",
    "study": "does GAN augmentation help? One draw, all arms; with -m, many draws",
    "export": "a draw's training images as files, for a generator of somebody else's",
    "report": "a study's report, again at any time",
    "status": "how the jobs of a study or multirun stand",
    "demo": "the whole job in a few minutes, on made-up images",
}
COMPLETION = """\
_gan_aug() {
    local command="${COMP_WORDS[1]}" line
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "COMMANDS" -- "$command"))
        return
    fi
    line="${COMP_WORDS[0]}${COMP_LINE#*"$command"}"   # Hydra knows a program, no command of it
    COMPREPLY=($(compgen -W "$(COMP_LINE="$line" COMP_POINT=${#line} gan-aug "$command" \\
        -sc query=bash 2> /dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
complete -o nospace -o default -F _gan_aug gan-aug
""".replace("COMMANDS", " ".join(COMMANDS))
"""What bash is given by `gan-aug completion`; the settings come from Hydra's own completion."""
_HELP = ("-h", "--help", "help")


@ends_with_its_reader()
def main() -> None:
    """List the commands, or run the one that is named."""
    name = sys.argv[1] if len(sys.argv) > 1 else _HELP[0]
    if name in COMMANDS:
        del sys.argv[1]
        runpy.run_module(f"gan_aug.{name}", run_name="__main__", alter_sys=True)
        return
    if name == "completion":
        print(COMPLETION, end="")
        return
    if name not in _HELP:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        meant = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(COMMANDS)}"
        sys.exit(f"error: {name}: is no command; {meant}")
    print("python -m gan_aug COMMAND [SETTING=VALUE ...]\n")
    for command, what in COMMANDS.items():
        print(f"  {command:<9} {what}")
    print("\npython -m gan_aug COMMAND --help lists a command's settings; README.md has examples.")
    print('eval "$(gan-aug completion)" completes commands and settings in bash.')


if __name__ == "__main__":
    main()
