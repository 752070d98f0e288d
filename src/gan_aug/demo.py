"""`python -m gan_aug.demo`: the whole job in a few minutes, on made-up images."""

from __future__ import annotations

import json
import sys
import time
from contextlib import redirect_stdout
from datetime import datetime
from pathlib import Path

from gan_aug.api import run
from gan_aug.runtime.errors import GanAugError, error_line, one_line

SYNTHETIC_COUNT = 100
GAN = ("trainer.max_epochs=125", "model.width=16")  # a small one, trained briefly


def main() -> None:
    """Train the DCGAN, then the classifier without and with its images, and sum up."""
    print("demo: data=phantom, radiographs made up by gan_aug; its numbers are not about X-rays")
    folder = Path("runs") / "demo" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    gan, real, mixed = (folder / name for name in ("dcgan", "cnn_real", "cnn_real_gan"))
    _train(gan, "+experiment=dcgan_pneumonia", *GAN)
    _train(real, "+experiment=cnn_baseline")
    _train(
        mixed,
        "+experiment=cnn_gan_aug",
        f"data.synthetic.dir={gan / 'synthetic'}",
        f"data.synthetic.count={SYNTHETIC_COUNT}",
    )
    print("\ndemo: data=phantom (made-up images), done")
    print(f"  samples      {max((gan / 'samples').glob('*.png'))} (left real, right generated)")
    print(f"  synthetic    {gan / 'synthetic'}")
    print(f"  checkpoint   {gan / 'checkpoints' / 'last.ckpt'}")
    print(f"  TensorBoard  tensorboard --logdir {folder}")
    print("  test accuracy at 0.5, and area under the ROC curve:")
    print(f"    real                          {_scores(real)}")
    print(f"    real + {SYNTHETIC_COUNT} generated          {_scores(mixed)}")
    print("  One draw and one seed: a difference of a few points either way is noise.")


def _train(folder: Path, *overrides: str) -> None:
    """Run one training; its progress is shown, what it prints goes to a file."""
    arguments = [*overrides, "data=phantom", f"hydra.run.dir={folder}"]
    print(f"\n$ python -m gan_aug.train {' '.join(arguments)}", flush=True)
    folder.mkdir(parents=True)
    started = time.monotonic()
    with (folder / "output.txt").open("w") as output, redirect_stdout(output):
        try:
            run("train", arguments)
        except GanAugError as error:
            sys.exit(error_line(one_line(error), error.paragraph))
        except KeyboardInterrupt:
            print("error: stopped by hand", file=sys.stderr)
            sys.exit(130)
    print(f"{time.monotonic() - started:.0f} s", flush=True)


def _scores(folder: Path) -> str:
    test = json.loads((folder / "metrics.json").read_text())["test"]
    usual = next(iter(test.values()))  # at a threshold of 0.5
    return f"{usual['accuracy']:.1%}  {usual['auroc']:.3f}"


if __name__ == "__main__":
    main()
