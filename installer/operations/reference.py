"""Pages of the documentation that are made from what the code reads.

`python -m installer.operations.reference` writes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from installer.checks.audit.catalog import checks as audit_checks
from installer.checks.preflight.catalog import CHECKS
from installer.checks.verify import catalog as verification
from installer.manifests import ALL_HOSTS, load_manifests
from installer.manifests.controls import PREFIX, known_controls
from installer.services import known_services
from installer.services.hosts import explain
from installer.site.relations import read_relations
from installer.site.role_variables import read_role_variables
from installer.site.shared import wired_variables
from installer.stages.graph import plays
from installer.stages.install import INSTALL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from installer.manifests import PortSpec, RoleManifest
    from installer.manifests.controls import Control
    from installer.services import GroupRule, Service
    from installer.site.role_variables import Option

ROOT: Final = Path(__file__).resolve().parents[2]
_PROGRAM: Final = "python -m installer.operations.reference"
_GENERATED: Final = f"<!-- Made by `{_PROGRAM}` from the roles; change those, not this page. -->"
_KINDS: Final = {
    "login_defs": "/etc/login.defs",
    "sysctl": "kernel",
    "modes": "mode",
    "modules": "not loaded",
    "pam": "PAM",
    "audit_watches": "written down, changes of",
    "aide": "compared",
    "audit_calls": "written down, calls",
}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; bars within cells are escaped."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _number(port: PortSpec, variables: Mapping[str, Option]) -> int:
    return port.port if isinstance(port.port, int) else int(variables[port.port].default)


def _shown(port: PortSpec, variables: Mapping[str, Option]) -> str:
    """Number and protocol, with the variable that sets the number."""
    variable = f" (`{port.port}`)" if isinstance(port.port, str) else ""
    return f"{_number(port, variables)}/{port.protocol}{variable}"


def _ports(
    manifests: Mapping[str, RoleManifest], variables: Mapping[str, Option]
) -> list[tuple[RoleManifest, PortSpec]]:
    pairs = [(role, port) for role in manifests.values() for port in role.ports]
    return sorted(pairs, key=lambda pair: (pair[0].group, _number(pair[1], variables)))


def ports_page(manifests: Mapping[str, RoleManifest], variables: Mapping[str, Option]) -> str:
    """Who listens where and who may talk to it."""
    rows = [
        [role.group, _shown(port, variables), port.purpose, ", ".join(port.sources), port.tls]
        for role, port in _ports(manifests, variables)
    ]
    outside = [
        [role.group, f"`{spec.servers}`", f"{variables[spec.port].default} (`{spec.port}`)", spec.purpose]
        for role in manifests.values()
        for spec in role.destinations
    ]
    return (
        f"# Ports\n\n{_GENERATED}\n\nEverything that listens beyond loopback, besides SSH. `verify` compares each "
        "host with this list and fails on a listener that is not in it. Where a variable is named, the number is its "
        "default: set it for all hosts of the group, and preflight, `verify` and everybody who connects follow.\n\n"
        "The hosts' [firewall](firewall.md) is made from this table, in and out. `all` is the site's own network, "
        "`controller` where the installation comes from and `firewall_controller_networks`, `users` are "
        "`firewall_user_networks`, or everybody who can reach the gateways when it is empty.\n\n"
        + table(["Hosts of", "Port", "Purpose", "Who connects", "TLS"], rows)
        + "\nOutside the site, when the inventory names them; whatever else is wanted there is named in "
        "`firewall_destinations`.\n\n" + table(["From hosts of", "To", "TCP port", "Purpose"], outside)
    )


def tls_page(manifests: Mapping[str, RoleManifest], variables: Mapping[str, Option]) -> str:
    """Each listener's protection, and each exception with its reason."""
    secured = [
        [_shown(port, variables), port.purpose, role.group, "TLS 1.3 only"]
        for role, port in _ports(manifests, variables)
        if port.tls == "1.3"
    ]
    exceptions = [
        [_shown(port, variables), port.purpose, role.group, port.reason]
        for role, port in _ports(manifests, variables)
        if port.tls == "none"
    ]
    services = [
        [
            name,
            role.group,
            spec.authority,
            ", ".join(spec.usages),
            ", ".join(["short name, full name, address", *spec.names]),
        ]
        for role in manifests.values()
        for name, spec in role.certificates.items()
    ]
    return (
        f"# TLS\n\n{_GENERATED}\n\nEvery listener speaks TLS 1.3 only and every client verifies the certificate "
        "authority and the name. `verify` connects to each one twice: TLS 1.3 must work, TLS 1.2 must be refused.\n\n"
        "## Listeners\n\n"
        + table(["Port", "Purpose", "Hosts of", "Protection"], secured)
        + "\n## Exceptions\n\n"
        + table(["Port", "Purpose", "Hosts of", "Reason"], exceptions)
        + "\nNot in the table because they do not listen: NTP and DNS queries to the hospital's servers, which have "
        "no TLS of their own.\n\n## Certificates\n\n"
        "Keys are made on the host and never leave it. One certificate per service and host.\n\n"
        + table(["Service", "Hosts of", "Signed by", "Usage", "Names"], sorted(services))
    )


def checks_page() -> str:
    """All checks by id: those of preflight and of an audit, which a waiver may name, and those of a verification."""
    proven = [[f"`{check}`", text] for check, text in verification.checks().items()]
    rows = [[f"`{check}`", text] for check, text in CHECKS.items()]
    audited = [[f"`{check}`", text] for check, text in audit_checks().items()]
    return (
        f"# Checks\n\n{_GENERATED}\n\n## Before: `preflight`\n\nA waiver in `group_vars/all/site.yml` names one of "
        "these ids, with a reason and the day it expires.\n\n"
        + table(["Check", "What it makes sure of"], rows)
        + "\n## After: `verify`\n\nThe services' and the listeners' are asked by `status` as well. `evidence.json` and "
        "its page hold every answer; none can be waived. A check that ends in `.answers` shows only when somebody gave "
        "none, with the host, the port and what to do.\n\n"
        + table(["Check", "What it makes sure of"], proven)
        + "\n## Now and then: `audit`\n\nBeside those of `verify` that start nothing. A waiver names one of these ids, "
        "as with preflight; [audit.md](audit.md) says who looks.\n\n"
        + table(["Check", "What it makes sure of"], audited)
    )


def hardening_page(controls: Mapping[str, Control]) -> str:
    """What the role hardening refuses, with reasons, benchmarks and how to do without."""
    rows = [
        [f"`{PREFIX}{each.id}`", each.title, each.why, ", ".join(each.references), _set_by(each)]
        for each in controls.values()
    ]
    return (
        f"# Hardening\n\n{_GENERATED}\n\nEvery host refuses the following. References are to CIS Debian Linux 12 "
        "Benchmark 1.1.0, ANSSI BP-028 2.0 and lynis' tests. `verify` asks each host, as root, whether it is in force "
        "(`hardening.controls`).\n\nA site, or one host of it, does without a control by a waiver, which every "
        "evidence shows until it expires:\n\n```yaml\nsitewright:\n  waivers:\n    - check: hardening.ssh.forwarding\n"
        "      host: gw1\n      reason: the hospital's support comes in through gw1\n      expires: 2027-03-31\n```\n\n"
        + table(["Control", "What is so", "Why", "Asked for by", "How"], rows)
        + "\n## What is not done, and why\n\n"
        "- **Passwords are not aged** (CIS 5.4.1.1, AUTH-9286): a password that is too old closes the login to its "
        "owner's key as well, and a site whose administrators use keys only would be without one after a year.\n"
        "- **SSH allows ten sessions a connection** (SSH-7408 asks for two): the installation shares one connection.\n"
    )


def _set_by(control: Control) -> str:
    """What a control sets, kind by kind."""
    return "; ".join(
        f"{_KINDS.get(kind, kind)}: "
        + ", ".join(
            f"`{name} {value if isinstance(value, str | int) else ' '.join(value)}`".replace(" `", "`")
            if isinstance(said, dict)
            else f"`{name}`"
            for name, value in (said.items() if isinstance(said, dict) else ((each, "") for each in said))
        )
        for kind, said in control.settings.items()
        if not isinstance(said, bool)
    )


def _rule(rule: GroupRule) -> str:
    """How many hosts a group may have."""
    most = f"at most {rule.at_most}" if rule.at_most else "any number"
    return ("at least 1, " if rule.required else "") + ("odd" if rule.voters else most)


def _settings(service: Service) -> str:
    """A service's settings on a host it has for itself."""
    if service.settings is None:
        return ""
    site = {
        "rehearsal": False,
        "site_class": "production",
        "hosts": {"host": {"groups": [service.group]}},
        "groups": {service.group: ["host"]},
    }
    rows = [
        [f"`{each.name}`", each.formula, each.source, f"`{each.value}`"]
        for each in explain(site, "host", service.name, service.example)
    ]
    facts = ", ".join(f"{name} {value}" for name, value in service.example.items())
    return f"\n## Settings of {service.name}\n\nThe example is a host it has for itself, with {facts}.\n\n" + table(
        ["Setting", "Formula", "Source", "Example"], rows
    )


def sizing_page(services: Mapping[str, Service]) -> str:
    """What each service claims of its hosts, and what follows from it."""
    memory = [
        [
            f"`{service.group}`",
            service.purpose,
            "every host" if service.group == ALL_HOSTS else _rule(service.members),
            str(service.memory.floor_mb),
            str(service.memory.weight or "fixed"),
            "-" if service.memory.ceiling_mb is None else str(service.memory.ceiling_mb),
            "large" if service.large else "small",
        ]
        for service in services.values()
    ]
    pools = [
        [name, claim.to, f"`{claim.variable}`", str(claim.per_host)]
        for name, service in services.items()
        for claim in service.connections
    ]
    kernel = [
        [f"`{each.key}`", str(each.value), name, "the kernel's own" if each.contested is None else str(each.contested)]
        for name, service in services.items()
        for each in service.kernel
    ]
    metrics = [
        [name, f"`{each.name}`", each.source, each.meaning]
        for name, service in services.items()
        for each in service.metrics
    ]
    units = [
        [name, each.called, each.restart.effect, each.alone.effect, each.reload.effect]
        for name, service in services.items()
        for each in service.units
    ]
    within = [
        [name, each.called, word, act.effect]
        for name, service in services.items()
        for each in service.units
        for word, act in each.within.items()
    ]
    return (
        f"# Services and what they claim\n\n{_GENERATED}\n\n"
        "Memory, in MB: every service of a host has its floor; what is left is shared in proportion to the weights, up "
        "to the ceilings ([why](decisions/README.md#services)). When the floors alone do not fit, preflight fails with "
        "`memory.budget`. A host with a large service is held to the large sizes of preflight.\n\n"
        + table(["Group", "What it is", "Hosts", "Floor", "Weight", "Ceiling", "Size"], memory)
        + "\n## Connections\n\nMost that one host holds open unless it is set; the other side plans with it.\n\n"
        + table(["From", "To", "Variable", "For each host"], pools)
        + "".join(_settings(service) for service in services.values())
        + "\n## Kernel settings\n\nThe last column holds where services of one host contradict each other.\n\n"
        + table(["Key", "Value", "Wanted by", "Contested"], kernel)
        + "\n## What a restart interrupts\n\n"
        + "`plan` names it ([measured](decisions/README.md#plan) on rehearsal hosts).\n\n"
        + table(["Service", "Unit", "Restart, host by host", "Restart of the only one", "Reload"], units)
        + "\nWhat is done to a service while its unit goes on running:\n\n"
        + table(["Service", "Unit", "What", "Noticed"], within)
        + "\n## Metrics worth watching\n\n"
        + table(["Service", "Metric", "Where", "What it tells"], metrics)
    )


def _allowed(option: Option) -> str:
    """What an operator may write, in a cell of a table."""
    if option.secret:
        return "*vault*"
    if option.choices:
        return ", ".join(f"`{choice}`" for choice in option.choices)
    return "" if option.limit is None else option.limit.words


def _option_rows(
    options: Mapping[str, Any], known: Mapping[str, Option], wired: Collection[str], prefix: str = ""
) -> list[list[str]]:
    rows = []
    for name, option in options.items():
        default = "required" if option.get("required") else f"`{option.get('default', '')}`"
        text = option.get("description", "")
        words = " ".join(text) if isinstance(text, list) else str(text)
        kind = str(option.get("type", "str")) + (f" of {option['elements']}" if "elements" in option else "")
        allowed = "*site*" if name in wired and not known[name].secret else _allowed(known[name])
        rows.append([f"`{prefix}{name}`", kind, default, allowed, " ".join(words.split())])
        rows += _option_rows(option.get("options", {}), known[name].options or {}, (), f"{prefix}{name}.")
    return rows


def roles_page(root: Path, variables: Mapping[str, Option], wired: Collection[str]) -> str:
    """Every role's variables, from its argument_specs and limits."""
    text = (
        "What is set outside of what is allowed is refused before any host is touched. *site*: follows from the site's "
        "description and cannot be set. *vault*: a secret, kept in the site's vault file."
    )
    parts = [f"# Roles\n\n{_GENERATED}\n\n{text}\n"]
    for path in sorted((root / "roles").glob("*/meta/argument_specs.yml")):
        role = path.parent.parent.name
        specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
        for entry, spec in specs.items():
            heading = role if entry == "main" else f"{role}, entry point {entry}"
            parts.append(f"\n## {heading}\n\n{str(spec.get('short_description', '')).strip()}\n")
            if spec.get("options"):
                rows = _option_rows(spec["options"], variables, wired)
                parts.append("\n" + table(["Variable", "Type", "Default", "Allowed", "Meaning"], rows))
        together = [f"- {relation.words}\n" for relation in read_relations(path.parents[1])]
        if together:
            parts += ["\nTogether:\n\n", *together]
    return "".join(parts)


def site_playbook(root: Path) -> str:
    """The playbook of the whole platform: every stage's playbook, in order."""
    parts = [
        "---\n# The whole platform, stage by stage, for those who run Ansible by hand; `./install` runs the same\n"
        "# playbooks, at the same time where they do not need each other, and keeps a journal of them.\n"
        f"# Made by `{_PROGRAM}`.\n"
    ]
    for stage in INSTALL.stages:
        name = plays(stage.path(root))[0]["name"]
        parts.append(f"- name: {name}\n  ansible.builtin.import_playbook: {stage.playbook}\n")
    return "".join(parts)


def pages(root: Path = ROOT) -> dict[Path, str]:
    """Every generated page by its path."""
    manifests = load_manifests(root)
    variables = read_role_variables(sorted((root / "roles").iterdir()))
    return {
        root / "docs" / "ports.md": ports_page(manifests, variables),
        root / "docs" / "tls.md": tls_page(manifests, variables),
        root / "docs" / "checks.md": checks_page(),
        root / "docs" / "roles.md": roles_page(root, variables, wired_variables(root, manifests)),
        root / "docs" / "hardening.md": hardening_page(known_controls(root)),
        root / "docs" / "sizing.md": sizing_page(known_services()),
        root / "playbooks" / "site.yml": site_playbook(root),
    }


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
