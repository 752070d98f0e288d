"""One draw of a study: GANs, synthetic sets, one fit of the classifier for each arm."""
