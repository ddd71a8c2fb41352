"""Asked in the copy of the checkout: what each part of the house knows of the new service, as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from installer.bundle.inputs import read_inputs
from installer.checks import verify
from installer.controller.paths import Paths
from installer.manifests import load_manifests
from installer.manifests.shared import listeners_of
from installer.operations.plan.effects import effects_of
from installer.services.hosts import allocation, explain
from installer.site import load_site
from installer.stages.install import INSTALL
from installer.vault.catalog import catalog

ROOT: Final = Path(__file__).resolve().parents[2]
NAME: Final = "memcached"


def main() -> dict[str, Any]:
    """Everything the test wants to know."""
    manifests = load_manifests(ROOT)
    site = load_site(ROOT / "inventories" / "clinic", manifests=manifests, rehearsal=True)
    resolved = site.resolved()
    (host,) = resolved["hosts"]
    subject: Any = SimpleNamespace(group=lambda name: resolved["groups"].get(name, list(resolved["hosts"])))
    INSTALL.check(ROOT)
    inputs = read_inputs(
        Paths(root=ROOT, state=ROOT / ".sitewright", cache=ROOT / ".sitewright"),
        keys=SimpleNamespace(archive_fingerprint="", bundle_id=""),  # type: ignore[arg-type] # only these are read
        architecture="amd64",
    )
    return {
        "bundle": NAME in inputs.debian_packages,
        "vault": f"{NAME}_password" in catalog(manifests),
        "group": NAME in resolved["hosts"][host]["groups"],
        "ports": [each.port for each in listeners_of(resolved, host, manifests) if each.variable == f"{NAME}_port"],
        "budget": allocation(resolved, host, 6144).shares_mb[NAME],
        "settings": [each.name for each in explain(resolved, host, NAME, {"memory_mb": 6144})],
        "verify": NAME in verify.all_checks(subject),
        "status": NAME in verify.health_checks(subject),
        "stage": [stage.needs for stage in INSTALL.stages if stage.name == NAME],
        "interruption": effects_of(f"{NAME}.service").called,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()))
