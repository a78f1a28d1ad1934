"""Evaluation: every metric of a fitted model, computed by the same code for every method.

Attributes of a metric stand in `registry`, the metrics themselves in `metrics/`, what a metric may use in `subject/`,
and the maths in `measures/`; `references` holds what depends on the data set alone, and `evaluator` runs it all.
"""
