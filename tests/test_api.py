"""The commands for Python: `gan_aug.run`."""

from __future__ import annotations

import html
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_study import write_study
from support import TINY_CNN, read_json, run_python

import gan_aug
from gan_aug.settings.commands import COMMANDS

Command = Callable[..., Any]


@pytest.fixture
def script(tmp_path: Path, cache_home: Path) -> Callable[[str], str]:
    """Run Python code in an empty folder; return what it prints."""

    def run(code: str) -> str:
        result = run_python(cache_home, f"import gan_aug\n{code}", tmp_path)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return run


def test_it_gives_what_the_command_line_gives(
    script: Callable[[str], str], command: Command, tmp_path: Path
) -> None:
    cnn = [*TINY_CNN, "trainer.max_epochs=1", "trainer.log_every_n_steps=1"]
    printed = script(
        "import matplotlib, torch\n"
        "torch.set_num_threads(3)\n"
        f"arguments = {[*cnn, 'hydra.run.dir=here']}\n"
        "result = gan_aug.run('train', arguments)\n"
        "print(result.folder, result.figures, dict(result.metrics.dtypes.astype(str)), sep='\\n')\n"
        "assert gan_aug.run('train', arguments) == result\n"
        "assert matplotlib.rcParams['text.parse_math']\n"  # which figures turn off
        "assert torch.get_num_threads() == 3\n"
        "assert not torch.are_deterministic_algorithms_enabled()\n"
    )
    command("train", *cnn, "hydra.run.dir=typed")
    folders = [tmp_path / name for name in ("here", "typed")]
    here, typed = ((folder / "metrics.csv").read_text().splitlines() for folder in folders)
    assert [row for row in here if "per_second" not in row] == [
        row for row in typed if "per_second" not in row
    ]
    records = [read_json(folder / "run.json") for folder in folders]
    assert records[0]["command"][:-1] == records[1]["command"][:-1]
    assert f"\n{folders[0]}\n[{folders[0] / 'confusion_matrix.png'!r}]\n" in printed
    assert "{'batch': 'int64', 'name': 'str', 'value': 'float64'}" in printed
    assert "finished already, nothing to do" in printed


def test_it_leaves_the_process_as_it_was(script: Callable[[str], str], tmp_path: Path) -> None:
    """The table of a multirun is printed at its end, not again by the commands after it."""
    phantoms = [
        "data=phantom", "data.source.train_per_class=200", "data.source.test_per_class=20",
        "data.image_size=32", "data.development_per_class=5", "data.val_per_class=10",
    ]  # fmt: skip
    multirun = ["-m", *phantoms, "images=2", "hydra/launcher=basic", "hydra.sweep.dir=sweep"]
    export = ["+study=own", *phantoms, "draw=0,1", "output_dir=made"]
    printed = script(
        "import logging, os, signal, sys\n"
        "from hydra._internal import utils\n"
        "def state():\n"
        "    return (sys.argv[:], os.getcwd(), utils.run_and_report,\n"
        "            logging.root.handlers[:], logging.root.level, signal.getsignal(15))\n"
        "logging.basicConfig(level=logging.ERROR)\n"
        "before = state()\n"
        f"inspected = gan_aug.run('inspect', {multirun})\n"
        "assert state() == before\n"
        f"exported = gan_aug.run('export', {export})\n"
        "status = gan_aug.run('status', ['study_dir=sweep', 'watch=false'])\n"
        "try: gan_aug.run('inspect', ['data=phantom', 'images=0'])\n"
        "except gan_aug.GanAugError: pass\n"
        "assert state() == before\n"
        "print([result.folder for result in (inspected, exported, status)])\n"
    )
    assert str([tmp_path / name for name in ("sweep", "made", "sweep")]) in printed
    assert len(list((tmp_path / "made").glob("draw_*/train.csv"))) == 2
    assert printed.count("finished") == 1
    assert printed.count("1 job: 1 done") == 1


WRONG = (
    ("train", ["data=nothing"], "data=nothing: is none of"),
    ("train", ["data=phantom", "model.widht=3"], "model.widht=3: "),
    ("report", ["study_dir=nowhere"], "study_dir=nowhere: no such folder"),
    ("trian", [], "trian: is no command; choose one of study, "),
    ("train", "data=phantom", "data=phantom: is no list; "),
    ("train", ["--help"], "--help: runs nothing; "),
)


def test_what_is_wrong_is_raised_in_a_line(script: Callable[[str], str], command: Command) -> None:
    code = (
        "for command, arguments in CASES:\n"
        "    try: print('done', gan_aug.run(command, arguments))\n"
        "    except gan_aug.GanAugError as error: print(*error._render_traceback_())\n"
    )
    printed = script(code.replace("CASES", str([case[:2] for case in WRONG])))
    raised = [line for line in printed.splitlines() if line.startswith(("error:", "done"))]
    assert len(raised) == len(WRONG)
    for line, (_, _, start) in zip(raised, WRONG, strict=True):
        assert line.startswith(f"error: {start}")
    assert command("train", "data=nothing").stderr.splitlines() == raised[:1]


def test_a_report_is_a_page_a_table_and_figures(
    script: Callable[[str], str], tmp_path: Path
) -> None:
    arms = {"duplicate": 0.0, "gan": 0.02, "real": 0.0}
    write_study(tmp_path / "s", arms, draws=3)
    printed = script(
        "result = gan_aug.run('report', ['study_dir=s'])\n"
        "print('rows', len(result.metrics), sorted(set(result.metrics.arm)))\n"
    )
    assert f"rows 9 {list(arms)}" in printed
    result = gan_aug.Result(tmp_path / "s")
    assert result.page == tmp_path / "s" / "report.html"
    shown = result._repr_html_()
    assert shown is not None
    assert shown.startswith('<iframe srcdoc="')
    assert shown.split('"', 2)[2].startswith(' sandbox="allow-same-origin" '), "a script would run"
    framed = html.unescape(shown.split('"')[1])
    assert framed.replace('<base href="about:srcdoc">', "") == result.page.read_text()
    assert framed.index("<head><base") < framed.index("<title>")
    (tmp_path / "s" / "figures").mkdir(exist_ok=True)
    (tmp_path / "s" / "figures" / "effects.png").touch()
    assert result.figures == [tmp_path / "s" / "figures" / "effects.png"]


def test_a_folder_without_results(tmp_path: Path) -> None:
    result = gan_aug.Result(tmp_path)
    assert (result.page, result.figures, result._repr_html_()) == (None, [], None)
    with pytest.raises(gan_aug.GanAugError, match="holds no table of metrics"):
        _ = result.metrics


def test_the_package_is_loaded_at_once() -> None:
    heavy = ("torch", "lightning", "hydra", "pandas", "matplotlib", "pydantic", "numpy")
    code = f"import sys, gan_aug; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_its_help_names_the_arguments_and_every_command() -> None:
    assert list(inspect.signature(gan_aug.run).parameters) == ["command", "arguments"]
    said = gan_aug.run.__doc__ or ""
    assert all(command in said for command in COMMANDS)
