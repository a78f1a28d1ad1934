"""Fits: ways to find a model's parameters; each satisfies `zoo.types.Fit`."""
