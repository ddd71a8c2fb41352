"""Whether each host's rules are those of the model, and whether it really gets nowhere it has no business."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from installer.checks.verify import firewall_on_a_host
from installer.manifests.traffic import rules_of, unneeded
from installer.report import CheckResult, passed_if
from installer.services.health.answers import of_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from installer.services.health.subject import Host, Subject

    Target = tuple[str, int, str]

# Addresses of nobody, for documentation only (RFC 5737), on ports a way out would use.
OUTSIDE: Final[Sequence[Target]] = (
    ("192.0.2.1", 443, "outside (TEST-NET-1)"),
    ("198.51.100.1", 80, "outside (TEST-NET-2)"),
    ("203.0.113.1", 53, "outside (TEST-NET-3)"),
)
# Discard: whoever answers there is no service of ours.
_CONTROLLER_PORTS: Final = (9, 22)
_SOURCE: Final = Path(firewall_on_a_host.__file__).read_text(encoding="utf-8")


def check(subject: Subject) -> list[CheckResult]:
    """Ask each host once, as root: what is loaded, and what becomes of connections nobody needs."""
    return of_each(subject.group("all"), lambda host: _host(subject, host), name="firewall", port=0, unit="")


def targets_of(subject: Subject, host: str) -> list[Target]:
    """Whom a host must not reach: outside the site, and what other hosts have for others."""
    return [*OUTSIDE, *unneeded(subject.site, host, subject.manifests)]


def _host(subject: Subject, host: Host) -> list[CheckResult]:
    targets = targets_of(subject, host.name)
    order = json.dumps({"targets": targets, "controller_ports": _CONTROLLER_PORTS})
    answer = json.loads(subject.run_as_root(host.name, f"python3 -I -c {shlex.quote(_SOURCE)} {shlex.quote(order)}"))
    wanted = rules_of(subject.site, host.name, subject.manifests)
    return [judge_rules(host.name, answer, wanted), judge_egress(host.name, answer)]


def judge_rules(host: str, answer: Mapping[str, Any], wanted: Mapping[str, Any]) -> CheckResult:
    """Whether what the kernel has is what was loaded, and that what the model says.

    Args:
        host: Its short name.
        answer: What the host said (`firewall_on_a_host`).
        wanted: What the model says (`installer.manifests.traffic.rules_of`).
    """
    faults = [
        words
        for words, wrong in (
            ("no rules are loaded", not answer["loaded"]),
            ("changed since they were loaded", answer["loaded"] and not answer["as_loaded"]),
            (f"of another model than {wanted['digest']}", answer["loaded"] and answer["model"] != wanted["digest"]),
            (f"policies {', '.join(answer['policies'])}", set(answer["policies"]) != {"drop"}),
            ("not loaded at boot", not answer["at_boot"]),
            ("about to be taken back", answer["armed"]),
        )
        if wrong
    ]
    return passed_if(
        not faults,
        check="firewall.rules",
        host=host,
        measured="; ".join(faults) or f"{answer['rules']} rules of the model, policy drop, loaded at boot",
        wanted="exactly the rules of the model, policy drop in, out and through, loaded at boot",
        fix="run the installation again, it loads them; who changed them is to be found out",
    )


def judge_egress(host: str, answer: Mapping[str, Any]) -> CheckResult:
    """Whether every connection nobody needs was refused by the host itself.

    One that the kernel had no route for proves nothing and is counted apart; of the others the rules' own counter says
    that it was they who refused, not somebody outside.
    """
    tried = answer["tried"]
    routed = [each for each in tried if each["error"] != "no route"]
    through = [each for each in routed if each["error"] != "refused"]
    proven = not through and answer["refused"] >= len(routed)
    told = tuple(f"{each['address']}:{each['port']} {each['what']}: {each['error'] or 'CONNECTED'}" for each in tried)
    lost = len(tried) - len(routed)
    return passed_if(
        proven and bool(tried),
        check="firewall.egress",
        host=host,
        measured=(
            f"not refused: {', '.join(str(each['address']) + ':' + str(each['port']) for each in through[:5])}"
            if through
            else f"{len(routed)} of {len(tried)} tried connections refused by the host's own rules"
            + (f", no route for {lost}" if lost else "")
            + ("" if proven else f"; but its rules counted only {answer['refused']}")
        ),
        wanted="every connection outside the model is refused by the host itself",
        fix="nft list ruleset on the host; run the installation again",
        details=told,
    )
