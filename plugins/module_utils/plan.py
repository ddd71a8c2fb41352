"""What a module tells the installer's plan in check mode: what would change and be interrupted, without a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible.module_utils.basic import AnsibleModule


def told(
    module: AnsibleModule,
    words: Iterable[str] = (),
    *,
    changes: Iterable[Mapping[str, Any]] = (),
    interrupts: Iterable[Mapping[str, Any]] = (),
    last: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The part of a result the plan reads; nothing outside check mode.

    Args:
        module: The module.
        words: Things that would change, each in words.
        changes: Things that would change, as mappings with `kind`, `name`, `old`, `new`, `note`, `lines`, and `nodes`
            where the change concerns other hosts than the one the module runs on.
        interrupts: Mappings with `unit`, `act` (what the service's file knows of it, `Unit.within`), `what`, `nodes`
            (in their order), `why`, and `note` where there is one.
        last: Unit to the host or address whose turn comes last when the unit restarts on several hosts.
    """
    if not module.check_mode:
        return {}
    objects = [{"kind": "object", "name": word} for word in words]
    plan = {"changes": [*objects, *changes], "interrupts": list(interrupts), "last": dict(last or {})}
    return {"plan": {key: value for key, value in plan.items() if value}}


def diff_of(words: Iterable[str], header: str) -> dict[str, str]:
    """Changes in words as Ansible's `diff`, which `--diff` shows; in check mode as for real.

    Args:
        words: Things that changed or would change, without a secret.
        header: What they belong to.
    """
    after = "".join(f"{word}\n" for word in words)
    return {"before": "", "after": after, "before_header": header, "after_header": header}
