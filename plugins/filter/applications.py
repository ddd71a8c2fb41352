"""Filters that read what the site's applications say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

# A site whose applications run nothing on a group's hosts.
_NOTHING: dict[str, Any] = {
    "payload": "",
    "instances": 0,
    "memory_mb": 64,
    "topics": [],
    "exchange": "",
    "settings": {},
}


def application_process(site: Mapping[str, Any], group: str) -> dict[str, Any]:
    """The process that runs on the hosts of a group; the site model lets no second one be there."""
    for application in site["applications"].values():
        for process in application["processes"].values():
            if process["group"] == group:
                return dict(process)
    return _NOTHING


def application_parts(site: Mapping[str, Any], part: str, key: str) -> list[dict[str, Any]]:
    """Everything the applications say under `part.key`, in their order, for example `broker.queues`."""
    return [item for application in site["applications"].values() for item in application[part][key]]


def application_grants(site: Mapping[str, Any], permissions: Sequence[str]) -> list[dict[str, Any]]:
    """These permissions on every process definition of the site's applications."""
    keys = [key for application in site["applications"].values() for key in application["engine"]["processes"]]
    return [{"resource": "process-definition", "id": key, "permissions": list(permissions)} for key in keys]


def application_models(site: Mapping[str, Any]) -> list[dict[str, str]]:
    """The applications' sets of models: name of the deployment, package, directory."""
    return [
        {"name": name, "package": models["payload"], "directory": models["directory"]}
        for name, application in site["applications"].items()
        if (models := application["models"]) is not None
    ]


def application_cache_keys(site: Mapping[str, Any]) -> str:
    """Keys of the cache that belong to what runs on the worker hosts; a word no key begins with when there is none."""
    found = [cache["keys"] for application in site["applications"].values() if (cache := application["cache"])]
    return found[0] if found else "none:*"


class FilterModule:
    """What Ansible finds here."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {
            "application_process": application_process,
            "application_parts": application_parts,
            "application_grants": application_grants,
            "application_models": application_models,
            "application_cache_keys": application_cache_keys,
        }
