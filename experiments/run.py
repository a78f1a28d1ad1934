"""Fit a method, measure it, keep the record: `python -m experiments.run variant=vae` is `zoo run variant=vae`."""

import sys

from zoo.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
