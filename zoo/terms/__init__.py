"""Objective terms: penalties that need more than the code; each a function of (model, x, step)."""
