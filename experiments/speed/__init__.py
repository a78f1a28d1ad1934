"""How fast the zoo is, against what a reader could use instead: `python -m experiments.speed`."""
