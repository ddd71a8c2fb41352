"""Checks of hosts: before anything is touched, at work after an operation, and by programs that are not ours.

`preflight`, `verify` and `audit` answer with a `Report` of `CheckResult`s whose ids docs/checks.md explains.
"""
