"""What is there now is right: each host takes the baseline that its daily comparison compares with."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from installer.playbooks.results import DONE, FAILED
from installer.services.health.subject import Subject

if TYPE_CHECKING:
    from installer.operations.context import OperationContext
    from installer.operations.summary import Summary

_SECONDS: Final = 3
_STILL_AT_IT: Final = 124  # of timeout(1)
# A site may do without the comparison, on all hosts or on one. What differed before would be forgotten: it is told. It
# is a unit of its own, so that a slow host goes on by itself, and one where it fails shows it in `status`.
_TAKE: Final = (
    "p=/usr/local/sbin/sitewright-integrity u=sitewright-baseline.service; test -x $p || exit 0; "
    "! systemctl is-failed --quiet sitewright-integrity.service || echo differed; "
    "systemctl stop $u 2>/dev/null; systemctl reset-failed $u 2>/dev/null; "
    f"timeout {_SECONDS} systemd-run --quiet --wait --unit=$u $p --accept; r=$?; "
    f"test $r -ne {_STILL_AT_IT} || exit 0; exit $r"
)


def take_baseline(context: OperationContext, summary: Summary) -> None:
    """Let all hosts take their baseline at the same time.

    Nobody waits for a slow one for more than a few seconds. A host that cannot is named and does not make the operation
    fail: its old baseline stays, and shows what changed.
    """
    hosts = list(context.ssh)
    if not hosts:
        return
    context.terminal.step(f"Taking the baseline of {len(hosts)} host(s)")
    clock = time.monotonic()
    subject = Subject(
        site=context.site.resolved(),
        secrets={},
        manifests=context.manifests,
        clients={},
        ssh=context.ssh,
        carried={},
        release={},
        sudo_password=context.become_password,
    )

    def take(host: str) -> str:
        try:
            return subject.run_as_root(host, _TAKE)
        except (OSError, subprocess.SubprocessError) as error:
            return f"no baseline: {error}"

    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        said = dict(zip(hosts, pool.map(take, hosts), strict=True))
    for host, answer in said.items():
        if "differed" in answer:
            context.terminal.say(
                f"{host}: files were not as the baseline before; `journalctl -u sitewright-integrity` there lists them"
            )
        if "no baseline" in answer:
            context.terminal.say(f"{host}: {answer.strip()} (`journalctl -u sitewright-baseline` there says why)")
    failed = any("no baseline" in answer for answer in said.values())
    summary.add_step("baseline", FAILED if failed else DONE, time.monotonic() - clock)
