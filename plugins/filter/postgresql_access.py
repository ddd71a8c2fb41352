"""Lines of pg_hba.conf from who may connect from where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def postgresql_hba(access: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line per rule and network, in the order given; none lets a connection in without TLS."""
    return [
        f"hostssl {rule['database']} {rule['user']} {network} scram-sha-256"
        + (" clientcert=verify-ca" if rule.get("client_certificate") else "")
        for rule in access
        for network in rule["networks"]
    ]


class FilterModule:
    """What Ansible finds here."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"postgresql_hba": postgresql_hba}
