"""What a GAN's networks and the classifier learned, as sheets of images and numbers."""
