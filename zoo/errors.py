"""The one exception for what a user can mend."""


class ZooError(Exception):
    """A user's mistake or a missing file, told in one sentence: the value, what was expected, the way out."""
