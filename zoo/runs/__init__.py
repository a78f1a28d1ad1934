"""From a configuration to a record; the only package that uses Hydra."""
