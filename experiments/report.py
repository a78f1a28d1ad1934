"""Write tables and figures of records: `python -m experiments.report study=digits` is `zoo report study=digits`."""

import sys

from zoo.cli import main

if __name__ == "__main__":
    main(["report", *sys.argv[1:]])
