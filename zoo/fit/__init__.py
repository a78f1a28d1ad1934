"""Fits: how a model's parameters are found; each satisfies `zoo.types.Fit`."""
