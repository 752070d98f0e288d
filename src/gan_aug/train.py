"""`python -m gan_aug.train`: fit the model that the configuration describes."""

from __future__ import annotations

from omegaconf import DictConfig

from gan_aug.data.hold_out import hold_out, say_what_is_left
from gan_aug.data.prepare import load, prepare, print_data
from gan_aug.data.settle import settle
from gan_aug.run.command_line import command
from gan_aug.run.precision import settle_precision
from gan_aug.run.record import open_run
from gan_aug.run.threads import use_threads
from gan_aug.settings.checks import check_config


@command("train")
def main(cfg: DictConfig) -> None:
    """Check the configuration and the data first; torch is loaded only when both are sound."""
    with open_run(cfg) as run:
        if run.finished:
            print(f"{run.folder}: finished already, nothing to do")
            return
        check_config(cfg)
        source = load(cfg.data)
        cfg = hold_out(cfg, source)
        prepared = prepare(cfg.data, source)
        cfg = settle(cfg, prepared.splits)
        settle_precision(cfg, run.before)
        run.settled(cfg)
        synthetic = prepared.synthetic
        run.record(
            data=prepared.splits.notes,
            synthetic=None if synthetic is None else synthetic.facts(),
        )
        print_data(cfg.data, prepared)
        say_what_is_left(cfg, source)
        use_threads(run, cfg.trainer.threads)

        from gan_aug.training.fit import fit

        fit(cfg, prepared, run)


if __name__ == "__main__":
    main()
