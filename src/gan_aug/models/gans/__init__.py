"""GANs, one file each: how its pair of networks is trained, and the networks.

What the networks' arguments mean, where their own documentation does not say otherwise:

- image_size: side of the images, a power of two from 32; another one raises a `GanAugError`.
- channels: of the images.
- classes: how many the data set has.
- latent_dim: length of the latent vectors.
- width: feature maps next to the image; they double towards 4x4.
- blocks: residual blocks, in the middle or at each resolution.
- spectral_norm: the weights are going to be normalised, which takes the place of another norm.
"""
