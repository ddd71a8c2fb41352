"""Checks of hosts: fit before anything is touched (`preflight`), and at work after an operation (`verify`).

Both answer with a `Report` of `CheckResult`s whose ids docs/checks.md explains.
"""
