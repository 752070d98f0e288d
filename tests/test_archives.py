"""The committed archives hold what the archives before format 1 held.

`archive_facts.json` was computed from those, of commit 0a935b2, with that commit's own code: the
mean of every metric by condition and arm, and a hash of all predictions as log-odds in 32 bits.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import polars as pl
import pytest
from support import ROOT

from gan_aug.report.read import read_study
from gan_aug.report.study import Study

FACTS = json.loads((Path(__file__).parent / "archive_facts.json").read_text())


@pytest.fixture(scope="module", params=FACTS)
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp(request.param)
    with zipfile.ZipFile(ROOT / "experiments" / request.param / "draws.zip") as archive:
        archive.extractall(folder)
    found = read_study(folder)
    assert found.unfinished == []
    return found


@pytest.mark.slow
def test_conversion_changed_no_prediction_and_no_metric(study: Study) -> None:
    facts = FACTS[study.folder.name.rstrip("0123456789")]
    assert predictions_of(study) == facts["predictions"]
    assert len(study.table) == facts["rows"]
    keys = [*sorted(study.keys, key=["per_class", "model"].index), "arm"]
    means = study.table.group_by(keys).agg(pl.col(facts["columns"]).mean())
    found = {" ".join(map(str, row[: len(keys)])): list(row[len(keys) :]) for row in means.rows()}
    assert found.keys() == facts["means"].keys()
    for name, values in facts["means"].items():
        # AUROC and the like are computed in 32 bits, whose last depends on the processor.
        assert found[name] == pytest.approx(values, abs=1e-7), name


def predictions_of(study: Study) -> str:
    digest = hashlib.sha256()
    jobs = {(str(sorted(j.result.condition.items())), j.result.draw): j for j in study.jobs}
    for (condition, draw), job in sorted(jobs.items()):
        for fit in sorted(job.result.fits, key=lambda fit: (fit.arm, fit.repeat)):
            predictions = job.predictions(fit)
            for split in sorted(job.result.splits):
                one = predictions[split]
                for name, logits in ((split, one.logits), (f"{split}_last", one.last_logits)):
                    if logits is not None:
                        what = f"{condition} {draw} {fit.arm} {fit.repeat} {name} "
                        digest.update(what.encode() + logits.astype("float32").tobytes())
                digest.update(one.labels.tobytes())
    return digest.hexdigest()
