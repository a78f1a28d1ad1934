"""The repository's commands, a few lines each over `zoo`, and its studies in code."""
