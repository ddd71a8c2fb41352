"""The errors an operator can meet, each with the exit code it ends the program with."""

from __future__ import annotations

from typing import ClassVar, Final

EXIT_INTERRUPTED: Final = 130
EXIT_BUG: Final = 70


class InstallerError(Exception):
    """Something an operator can understand and act on.

    Attributes:
        message: What is wrong and where, in one line.
        hint: What to do about it, in one line; may be empty.
    """

    exit_code: ClassVar[int] = EXIT_BUG

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the two lines that will be shown."""
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigurationError(InstallerError):
    """What the operator gave (files, options, environment) cannot be used."""

    exit_code = 2


class PreflightError(InstallerError):
    """A host is not fit for what it shall carry."""

    exit_code = 3


class PlaybookError(InstallerError):
    """Ansible ran and at least one host failed, or the hosts' network could not be made."""

    exit_code = 4


class VerificationError(InstallerError):
    """The site stands, but does not do what it must."""

    exit_code = 5


class BundleError(InstallerError):
    """The bundle is not what its signature and manifest say, or it cannot be built."""

    exit_code = 6


class InterruptedRunError(InstallerError):
    """The operator stopped the run; the same command resumes."""

    exit_code = EXIT_INTERRUPTED
