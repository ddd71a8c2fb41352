"""What the operator can ask for: a folder per verb or family of verbs.

In each folder `command.py` is the command line and `operation.py` what it does. The first is loaded whenever the
program starts and imports nothing heavy; the second only when it is asked for, because together the operations import
half a second's worth of libraries.

`reference.py` is the maintainers': the documentation's generated pages.
"""
