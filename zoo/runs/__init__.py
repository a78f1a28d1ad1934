"""From a configuration to a record: the only rooms that know Hydra."""
