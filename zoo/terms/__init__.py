"""Terms of an objective that need more than one code at a time; each satisfies `zoo.objective.Term`."""
