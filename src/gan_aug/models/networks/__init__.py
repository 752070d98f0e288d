"""Plain nn.Modules: no losses, no training."""
