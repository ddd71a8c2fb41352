"""Formulas too long for the file of their service: pure functions, megabytes in, settings out."""
