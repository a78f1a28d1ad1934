"""Terms of an objective that need more than the code: each satisfies `zoo.objective.Term`."""
