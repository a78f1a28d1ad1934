"""Measure metrics of saved models: `python -m experiments.evaluate run=...` is `zoo evaluate run=...`."""

import sys

from zoo.cli import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])
