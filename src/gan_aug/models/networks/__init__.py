"""Plain nn.Modules without losses: classifiers, and what several GANs are made of."""
