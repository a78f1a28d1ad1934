"""Densities of codes, fitted after training to any model: `model.decode(density.sample(n, seed))` are its samples.

Each class is a `zoo.types.Density`, and each option has its file in `conf/density/`. P. Ghosh, M. Sajjadi, A. Vergari,
M. Black, B. Schölkopf, "From variational to deterministic autoencoders", 2020, arXiv:1903.12436, section 4 (ex-post
density estimation).
"""
