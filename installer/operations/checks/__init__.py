"""`preflight`, `verify` and `audit`: checks before and after, and by programs that are not ours."""
