"""What newer packages bring along that a host does not have yet: apt will, and no task names it."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from installer.bundle import inspect
from installer.bundle.closure import newly_needed
from installer.errors import PlaybookError
from installer.manifests.versions import installed_packages
from installer.operations.plan.collect import Observed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from installer.operations.context import OperationContext

_QUESTION: Final = "dpkg-query --show --showformat='${db:Status-Status} ${Package} ${Version}\\n'"
_SECONDS: Final = 60


def brought_along(context: OperationContext, observed: Iterable[Observed]) -> list[Observed]:
    """What the tasks that upgrade packages leave unsaid; hosts are asked only when there is such a task.

    Args:
        context: The opened site.
        observed: What every task said on every host, in the order of the stages.

    Raises:
        PlaybookError: If a host does not answer any more.
    """
    upgrades: dict[str, dict[str, Observed]] = {}
    for row in observed:
        for change in (change for detail in row.details for change in detail.get("older") or ()):
            upgrades.setdefault(row.host, {}).setdefault(change["name"], row)
    if not upgrades:
        return []
    manifest = inspect(context.bundle)
    with ThreadPoolExecutor(max_workers=len(upgrades)) as pool:
        installed = dict(zip(upgrades, pool.map(lambda host: _installed(context, host), upgrades), strict=True))
    return [
        Observed(
            stage=rows[package].stage,
            host=host,
            task=rows[package].task,
            changed=True,
            details=({"plan": {"changes": [_change(name, version, package) for name, version in new.items()]}},),
        )
        for host, rows in upgrades.items()
        for package, new in newly_needed(context.bundle, manifest, installed=installed[host], changing=rows).items()
    ]


def _change(name: str, version: str, needed_by: str) -> dict[str, str]:
    return {"kind": "package", "name": name, "new": version, "note": f"new, for {needed_by}"}


def _installed(context: OperationContext, host: str) -> dict[str, str]:
    try:
        answer = subprocess.run(  # noqa: S603 - argv is built from the inventory's own connection settings
            [*context.ssh[host], _QUESTION], capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise PlaybookError(
            f"{host} does not say any more which packages it has: {error}", hint="run the same command again"
        ) from error
    return installed_packages(answer.stdout.splitlines())
