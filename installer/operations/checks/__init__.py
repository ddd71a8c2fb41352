"""`preflight` and `verify`: checks before and after."""
