"""What was asked, what was wanted, what was found: the facts behind every table and page."""

from installer.report.model import CheckResult, Report, Verdict, listed, passed_if

__all__ = ["CheckResult", "Report", "Verdict", "listed", "passed_if"]
