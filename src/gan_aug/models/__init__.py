"""Networks, GANs and classifiers, and how they are kept."""
