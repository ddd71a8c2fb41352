#!/usr/bin/env python3
"""How long things take as a site grows: hospital-a with more and more worker hosts, as a rehearsal on this machine.

By hand, as root, alone on the machine, after `./install bundle build` when `--install` is given:

    tests/benchmarks/hosts.py                      # preflight at 10, 20 and 40 hosts
    tests/benchmarks/hosts.py --hosts 20 --install # install and second run as well; 40 hosts take half an hour

The sites are temporary, have names of their own and are gone at the end, whatever happens.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
MODEL: Final = ROOT / "inventories" / "hospital-a"
FIRST_ADDRESS: Final = 61  # last number of the first added host's address; hospital-a's own end at 51
STEPS_SECONDS: Final = 3600


def grown(folder: Path, hosts: int) -> Path:
    """Lay down hospital-a with as many worker hosts more as make up the number.

    Args:
        folder: Where the inventory is made.
        hosts: How many hosts the site has.

    Raises:
        SystemExit: If the site's network has no room for them, or the model has more hosts already.
    """
    site = folder / f"bench-{hosts}"
    shutil.copytree(MODEL, site)
    inventory = yaml.safe_load((site / "hosts.yml").read_text())["all"]
    values = site / "group_vars" / "all" / "site.yml"
    said = yaml.safe_load(values.read_text())
    network = ipaddress.ip_network(said["sitewright"]["network"])
    extra = hosts - len(inventory["hosts"])
    if extra < 0 or FIRST_ADDRESS + extra > network.num_addresses - 1:
        sys.exit(f"{hosts} hosts: between {len(inventory['hosts'])} and what {network} has room for")
    for number in range(extra):
        name = f"worker{number + 1}"
        inventory["hosts"][name] = {"ansible_host": str(network[FIRST_ADDRESS + number])}
        inventory["children"]["worker"]["hosts"][name] = None
    (site / "hosts.yml").write_text(yaml.safe_dump({"all": inventory}))
    said["sitewright"]["name"] = site.name
    values.write_text(yaml.safe_dump(said))
    return site


class Bench:
    """One site's measurements: seconds of each step, and what each said at its end."""

    def __init__(self, site: Path) -> None:
        """Nothing is measured yet."""
        self.site = site
        self.seconds: dict[str, float] = {}

    def step(self, name: str, *words: str) -> dict[str, Any]:
        """Run a verb, keep its seconds and give its JSON object; its talk goes to this program's stderr."""
        argv = [str(ROOT / "install"), *words, "--inventory", str(self.site)]
        start = time.monotonic()
        ended = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=STEPS_SECONDS, check=False)
        self.seconds[name] = time.monotonic() - start
        if ended.returncode != 0:
            sys.stderr.write(f"{' '.join(argv)}: exit code {ended.returncode}\n")
        said: dict[str, Any] = json.loads(ended.stdout) if ended.stdout.startswith("{") else {}
        return said


def measure(site: Path, *, install: bool) -> dict[str, str]:
    """Bring a site up, measure, take it down: one row of the table."""
    bench = Bench(site)
    rehearsed = ("--rehearse", "--output", "json")
    try:
        bench.step("up", "rehearse", "up")
        reports = [
            bench.step(name, "preflight", *rehearsed).get("report", {}) for name in ("preflight", "preflight again")
        ]
        counts = [report.get("counts", {}) for report in reports]
        row = {
            "checks": str(sum(counts[0].values())),
            "failed": ", ".join(str(count.get("failed")) for count in counts),
            "checks s": ", ".join(str(report.get("seconds")) for report in reports),
        }
        if install:
            bench.step("install", *rehearsed)
            row["changed in the second run"] = str(bench.step("second run", *rehearsed).get("changed"))
    finally:
        bench.step("down", "rehearse", "down")
    return {"hosts": site.name.removeprefix("bench-"), **row} | {
        f"{name} s": f"{seconds:.1f}" for name, seconds in bench.seconds.items()
    }


def main() -> None:
    """Measure each size and print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--hosts", type=int, nargs="+", default=[10, 20, 40], metavar="N")
    parser.add_argument("--install", action="store_true", help="install each site, and a second time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(grown(Path(folder), hosts), install=given.install) for hosts in given.hosts]
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    sys.stdout.write("".join(f"| {' | '.join(cells)} |\n" for cells in lines))
    sys.stdout.write(f"\n{os.cpu_count()} cores, load at the end {os.getloadavg()[0]:.1f}\n")


if __name__ == "__main__":
    main()
