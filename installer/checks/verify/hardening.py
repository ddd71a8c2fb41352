"""Which controls of role hardening are in force on each host, by what the host itself says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.checks.verify import integrity
from installer.checks.verify.control_answers import missing, needs_a_kernel, question, read
from installer.manifests.controls import PREFIX, exceptions, known_controls
from installer.report import CheckResult, Verdict, passed_if
from installer.services.health.answers import of_each

if TYPE_CHECKING:
    from installer.services.health.subject import Host, Subject


def check(subject: Subject) -> list[CheckResult]:
    """Ask each host once, as root."""
    return of_each(subject.group("all"), lambda host: _host(subject, host), name="hardening", port=0, unit="")


def _host(subject: Subject, host: Host) -> list[CheckResult]:
    found = read(subject.run_as_root(host.name, question()))
    waived = exceptions(subject.site, host.name)
    container = bool(subject.site["rehearsal"])
    mine = [control for control in known_controls().values() if control.id not in waived]
    wrong = {control.id: said for control in mine if (said := list(missing(control, found, container=container)))}
    not_here = sum(1 for each in mine if container and needs_a_kernel(each))
    whole = passed_if(
        not wrong,
        check="hardening.controls",
        host=host.name,
        measured=f"{len(mine) - len(wrong)} of {len(mine)} in force"
        + "".join(f"; {PREFIX}{name}: {', '.join(said)}" for name, said in wrong.items()),
        wanted=f"{len(mine)} in force",
        fix="run the installation again; what is changed back after it has another owner on the host",
        note=f"a container has no kernel of its own: not looked at in {not_here} of them" if not_here else "",
    )
    compared = [] if integrity.CONTROL in waived else [integrity.judge(host.name, found.get("integrity", {}))]
    return [whole, *compared, *(_waived(host.name, name, why) for name, why in waived.items())]


def _waived(host: str, control: str, why: str) -> CheckResult:
    return CheckResult(
        check=f"{PREFIX}{control}",
        host=host,
        measured="not asked for",
        wanted=known_controls()[control].title,
        verdict=Verdict.WAIVED,
        note=f"waived {why}",
    )
