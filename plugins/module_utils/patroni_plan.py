"""What a change of the settings a Patroni cluster shares would restart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.sitewright.platform.plugins.module_utils.plan import told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible.module_utils.basic import AnsibleModule

UNIT = "patroni.service"


def of(
    module: AnsibleModule,
    patch: Mapping[str, Any],
    held: Mapping[str, Any],
    members: Sequence[tuple[str, str]],
    floors: Sequence[str],
    owed: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The part of the module's result the plan reads.

    Args:
        module: The module.
        patch: What would be changed of the shared settings.
        held: The shared settings there are.
        members: Name and role of each member.
        floors: Settings of which a standby must have as much as its primary.
        owed: Members that must restart already, each with the settings that ask for it.
    """
    leader = next(name for name, role in members if role == "leader")
    names = [name for name, _ in members]
    at_start = restart_settings(module) if (patch.get("postgresql") or {}).get("parameters") else set()
    restarts = interruptions(patch, held, at_start=at_start, members=names, leader=leader, floors=floors)
    restarts = restarts or owed_restarts(owed, leader=leader, several=len(members) > 1)
    last = {UNIT: leader}
    settings = [{**change, "nodes": names} for change in changes(patch, held)]
    plan: dict[str, Any] = told(module, changes=settings, interrupts=restarts, last=last)
    return plan


def restart_settings(module: AnsibleModule) -> set[str] | None:
    """Names of the server settings that PostgreSQL reads only when it starts; None when it does not tell."""
    import yaml  # noqa: PLC0415 - Debian's Patroni brings it, other hosts need not have it

    server = yaml.safe_load(Path(module.params["config_file"]).read_text(encoding="utf-8"))["postgresql"]
    code, out, _ = module.run_command(
        [
            *("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--username=postgres", "--dbname=postgres"),
            f"--host={server['parameters']['unix_socket_directories']}",
            f"--port={server['connect_address'].rsplit(':', 1)[1]}",
            "--command=SELECT name FROM pg_settings WHERE context = 'postmaster'",
        ]
    )
    return set(out.split()) if code == 0 else None


def changes(patch: Mapping[str, Any], found: Mapping[str, Any], path: str = "") -> Iterator[dict[str, Any]]:
    """Every setting of a merge patch, old to new."""
    for key, value in patch.items():
        name, old = f"{path}.{key}" if path else key, found.get(key)
        if isinstance(value, dict):
            yield from changes(value, old or {}, name)
        elif isinstance(value, list):
            before = old or []
            gone, fresh = [one for one in before if one not in value], [one for one in value if one not in before]
            lines = [*(f"-{one}" for one in gone), *(f"+{one}" for one in fresh)]
            yield {"kind": "setting", "name": name, "lines": lines, "note": "" if lines else "another order"}
        else:
            shown = "default" if value is None else str(value)
            name = name.removeprefix("postgresql.parameters.")
            yield {"kind": "setting", "name": name, "old": "default" if old is None else str(old), "new": shown}


def interruptions(
    patch: Mapping[str, Any],
    found: Mapping[str, Any],
    *,
    at_start: set[str] | None,
    members: Sequence[str],
    leader: str,
    floors: Sequence[str],
) -> list[dict[str, Any]]:
    """The restarts a patch asks for, in their order.

    Args:
        patch: What would be changed.
        found: The settings there are.
        at_start: Settings read only at the start of a server.
        members: All members.
        leader: The primary among them.
        floors: Settings of which a standby must have as much as its primary; lowered at the primary first.
    """
    wished = (patch.get("postgresql") or {}).get("parameters") or {}
    held = (found.get("postgresql") or {}).get("parameters") or {}
    names = [name for name in wished if at_start is None or name in at_start]
    if not names:
        return []
    lowers = all(name in floors and _is_lower(wished[name], held.get(name)) for name in names)
    standbys = sorted(set(members) - {leader})
    nodes = [leader, *standbys] if lowers else [*standbys, leader]
    words = [f"{name} {held.get(name, 'default')} -> {_shown(wished[name])}" for name in names]
    act = "restart of the server" if standbys else "restart of the only server"
    note = "should the setting need it" if at_start is None else ""
    return [_restart(nodes, words, act, note)]


def owed_restarts(owed: Mapping[str, Mapping[str, Any]], *, leader: str, several: bool = True) -> list[dict[str, Any]]:
    """The restarts that an interrupted run left undone, the primary last.

    Args:
        owed: Members that must restart, each with the settings that ask for it.
        leader: The primary.
        several: Whether it has standbys.
    """
    if not owed:
        return []
    nodes = sorted(owed, key=lambda name: (name == leader, name))
    words = {
        f"{name} {reason.get('old_value')} -> {reason.get('new_value')}, changed before"
        for reasons in owed.values()
        for name, reason in reasons.items()
    }
    act = "restart of a standby"
    if leader in owed:
        act = "restart of the server" if several else "restart of the only server"
    return [_restart(nodes, sorted(words), act)]


def _restart(nodes: Sequence[str], why: Sequence[str], act: str, note: str = "") -> dict[str, Any]:
    return {"unit": UNIT, "act": act, "what": "restart", "nodes": list(nodes), "why": list(why), "note": note}


def _shown(value: Any) -> str:
    return "default" if value is None else str(value)


def _is_lower(new: Any, old: Any) -> bool:
    try:
        return int(new) < int(old)
    except (TypeError, ValueError):
        return False
