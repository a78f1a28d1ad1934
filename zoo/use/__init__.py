"""Uses of a fitted model: look at it, encode, rank outliers, export it, share it."""
