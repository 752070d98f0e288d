"""notebooks/quickstart.ipynb runs from its first cell to its last, on a CPU."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from support import FP32, ROOT, TINY_QUALITY, environment

NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"
DATA = [
    "data=phantom", "data.source.train_per_class=200", "data.source.test_per_class=20",
    "data.image_size=32", "data.development_per_class=5", "data.val_per_class=10",
]  # fmt: skip
GAN = ["model=dcgan", "model.batches=20", "model.width=4", FP32]
STUDY = [
    *TINY_QUALITY, "draw=range(0,2)", "study.repeats=1", "study.ruler=null", "study.count=10",
    "quality.use=[kid]", "study.steps={max: 12, choose: validation}", "study.validate_every=6",
    "classifier.width=4", "classifier.hidden=16",
]  # fmt: skip


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_no_output_is_kept() -> None:
    for cell in read().cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None), cell.id


@pytest.mark.slow
def test_every_cell_runs(tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The study's cell once more, as after a disconnect, skips what has finished."""
    notebook = read()
    (settings,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    values = {"DATA": DATA, "RARE": "pneumonia", "GAN": GAN, "STUDY": STUDY, "USE_DRIVE": False}
    settings.source = (
        "from pathlib import Path\n"
        + "".join(f"{name} = {value!r}\n" for name, value in values.items())
        + f"FOLDER = Path({str(tmp_path / 'results')!r})\n"
    )
    cells = {cell.id: cell for cell in notebook.cells}
    again = nbformat.v4.new_code_cell(cells["study"].source)
    notebook.cells.append(again)
    # Who runs the tests may have a token, and a folder of Jupyter settings.
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in environment(cache_home).items():
        monkeypatch.setenv(name, value)
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()

    def printed(cell: Any) -> str:
        return "".join(out.text for out in cell.outputs if out.output_type == "stream")

    def shown(name: str, kind: str) -> list[str]:
        return [out.data[kind] for out in cells[name].outputs if kind in out.get("data", {})]

    assert "phantom: what is in it" in shown("inspect", "text/html")[-1]
    assert len(shown("samples", "image/png")) == 2
    assert len(shown("losses", "image/png")) == 1
    assert "2 jobs, " in printed(cells["study"])
    report = (tmp_path / "results" / "study" / "report.html").read_text()
    (framed,) = shown("report", "text/html")
    assert html.escape(report.partition("<head>")[2]) in framed
    assert "classic_gan" in shown("table", "text/html")[-1]
    assert "2 jobs: 2 done" in shown("status", "text/plain")[0]
    assert "no Kaggle token" in printed(cells["xrays"])
    assert "2 jobs, " not in printed(again)
