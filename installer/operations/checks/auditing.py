"""`audit`: let the bundle's auditors look at every host, show what they object to, keep it, compare with last time."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from installer.bundle.auditors import pack, unpack_auditors
from installer.bundle.security import SECURITY_SUITE, read_security
from installer.checks.audit.difference import difference, with_difference
from installer.checks.audit.look import run
from installer.checks.audit.model import Bundled
from installer.errors import ConfigurationError
from installer.operations.checks.operation import named, subject_of, tell
from installer.operations.context import opened_further
from installer.operations.verified_bundle import verify_bundle
from installer.report import Verdict

if TYPE_CHECKING:
    from installer.bundle import Manifest
    from installer.operations.context import OperationContext, SiteContext
    from installer.report import Report

_KIND: Final = "audit"
_SHOWN: Final = frozenset({str(Verdict.FAILED), str(Verdict.WAIVED)})


def audit_alone(context: SiteContext) -> None:
    """`audit` as an operation of its own.

    Raises:
        VerificationError: If the site was never installed from here, or something was found that nobody waived.
        BundleError: If the bundle is not what its publisher signed, does not go with this checkout, or has no auditors.
        ConfigurationError: If the last audit cannot be read.
    """
    before = read_last(context.state / "evidence" / f"{_KIND}.json")
    # Its programs run as root on every host, so it is looked at whole, not only asked what it is.
    manifest = verify_bundle(context)
    with opened_further(context, "read") as operation:
        report = _audit(operation, manifest)
    changes = None if before is None else difference(before, report)
    described = {f"bundle's {part}": text for part, text in manifest.describe().items()}
    report = named(with_difference(report, before), {"Sitewright": str(context.release), **described})
    if changes is not None and before is not None:
        rows = [(kind, line) for kind, lines in changes.items() for line in lines]
        context.terminal.table((f"since {before['started']}", "what"), rows or [("nothing", "")])
    tell(context, report, kind=_KIND, shown=_SHOWN, more={"difference": changes})


def read_last(path: Path) -> dict[str, Any] | None:
    """The audit before; None when there was none.

    Raises:
        ConfigurationError: If the file is there and no report.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for result in found["results"]:
            result["check"], result["host"], result["measured"], result["verdict"]
        found["started"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is no report of an audit: {error}", hint="move it away; the next audit has nothing to compare with"
        ) from error
    return found


def _audit(context: OperationContext, manifest: Manifest) -> Report:
    with tempfile.TemporaryDirectory(prefix="sitewright-auditors-") as scratch:
        versions = unpack_auditors(context.bundle, manifest, Path(scratch))
        bundled = Bundled(
            archive=pack(Path(scratch)),
            versions=versions,
            security=read_security(context.bundle),
            security_date=manifest.suites.get(SECURITY_SUITE),
        )
    with subject_of(context) as subject:
        return run(
            subject,
            bundled=bundled,
            waivers=context.site.waivers,
            report=context.terminal.say,
            password=context.become_password,
        )
