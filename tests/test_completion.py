"""`gan-aug completion` in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TRY = """
eval "$(gan-aug completion)"
try() {
    COMP_LINE="$*"; COMP_WORDS=($COMP_LINE); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
    _gan_aug; echo "${COMPREPLY[*]}"
}
try "gan-aug t"; try "gan-aug train model=dcgan trainer=c"; try "gan-aug study +study=worth_"
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_commands_groups_and_files_are_completed() -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said = subprocess.run(
        ["bash", "-c", TRY], env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert said.stderr == ""
    assert said.stdout.splitlines() == ["train", "trainer=cpu", "+study=worth_nih"]
