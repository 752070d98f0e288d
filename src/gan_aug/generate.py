"""`python -m gan_aug.generate`: write a synthetic set from a GAN's checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gan_aug.runtime.arguments import typed_settings
from gan_aug.runtime.command_line import command
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.hardware import take_threads
from gan_aug.runtime.terminal import printable

if TYPE_CHECKING:
    from gan_aug.settings.commands import GenerateSettings


@command("generate", to_go_on="repeat the command")
def main(settings: GenerateSettings) -> None:
    """Rebuild the generator from the checkpoint and write `output_dir`.

    The data set is read only for a GAN that translates real images.
    """
    checkpoint = Path(settings.checkpoint).expanduser()
    if not checkpoint.is_file():  # before torch is loaded
        raise GanAugError(
            f"checkpoint={checkpoint}: no such file; name a GAN run's last.ckpt (generators of "
            "one's own leave none: train model=generator with a larger generate.count)"
        )
    folder = Path(settings.output_dir).expanduser()
    if folder.exists():
        raise GanAugError(f"output_dir={folder}: exists already; choose another folder")

    from gan_aug.data.synthetic import write_set
    from gan_aug.evaluation.subject import training_images
    from gan_aug.models.restore import load_gan
    from gan_aug.models.synthesis import images_by_class, manifest_head

    take_threads()
    saved = load_gan(checkpoint)
    origin, seed = saved.origin, settings.seed
    train = training_images(settings, origin, typed_settings())
    write_set(
        folder,
        images_by_class(saved.gan, origin, settings.count, seed, train),
        manifest_head(origin, saved.config, saved.checkpoint_sha256, seed),
    )
    model = printable(origin.model)
    print(f"{folder}: {settings.count} images of each class that {model} makes")


if __name__ == "__main__":
    main()
