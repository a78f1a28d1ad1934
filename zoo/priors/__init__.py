"""Priors p(z) of variational bottlenecks: modules with `log_prob(z)` and `sample(n, generator)`."""
