"""Penalties that are no part of a bottleneck; each satisfies `zoo.types.Term`."""
