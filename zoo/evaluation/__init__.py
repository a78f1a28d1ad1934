"""The one evaluator, its metrics, and what a metric may ask of a fitted model."""
