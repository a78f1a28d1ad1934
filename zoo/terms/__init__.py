"""Terms of an objective that need more than the code: functions of (model, x, step), see `zoo.objective.Term`."""
