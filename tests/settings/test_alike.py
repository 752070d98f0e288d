"""Which settings keep the draws of a study apart."""

from __future__ import annotations

from support import settings_of

from gan_aug.settings.alike import first_difference


def test_draws_of_cpus_and_gpus_go_together_whatever_makes_their_images() -> None:
    typed = ("study", "+study=own", "data.root=x", "study.gan_select=null")
    for model in ("dcgan", "ddpm"):
        one, other = (
            settings_of(*typed, f"model={model}", f"trainer={trainer}").plain()
            for trainer in ("cpu", "gpu")
        )
        assert first_difference(one, other) is None
        other["model"]["lr" if model == "ddpm" else "lr_g"] = 0.5
        assert first_difference(one, other) is not None
        other["model"] = one["model"]
        other["arms"]["real"]["title"] = "what people read"
        assert first_difference(one, other) is None
