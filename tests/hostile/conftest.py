"""The command line of tests/runs, in a home of its own."""

from tests.runs.conftest import command, home, left, zoo  # noqa: F401
