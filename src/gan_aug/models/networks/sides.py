"""The sides of a pyramid of maps between 4x4 and the image."""

from __future__ import annotations

from gan_aug.run.errors import GanAugError

SMALLEST = 4
MIN_SIZE = 32


def sides(image_size: int, network: str) -> list[int]:
    """Return 4, 8, ... up to the image's side.

    Args:
        image_size: of the image.
        network: its name, for the message.

    Raises:
        GanAugError: not a power of two from 32.
    """
    if image_size < MIN_SIZE or image_size & (image_size - 1):
        raise GanAugError(
            f"data.image_size={image_size}: {network} takes powers of two from {MIN_SIZE}"
        )
    return [2**i for i in range(SMALLEST.bit_length() - 1, image_size.bit_length())]
