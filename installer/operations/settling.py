"""Before a run resumes: wait until nothing of the interrupted one works on any host any more.

When the connection to a host is cut, stock Ansible's module goes on there to its end, and so does
an apt-get that either strategy has started; a second run beside them would see half-made things.
All of them can be told by their command lines.
"""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from installer.errors import PlaybookError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_SECONDS: Final = 300
_SSH_SECONDS: Final = 30
_STILL_AT_WORK: Final = 9
# The brackets keep the patterns from matching the very command line they stand in.
_WAIT: Final = (
    "n=0; while pgrep -f '[B]ECOME-SUCCESS-|[(]mitogen:' >/dev/null || pgrep -x 'apt-get|dpkg' >/dev/null;"
    f" do n=$((n + 1)); [ $n -gt {_SECONDS * 2} ] && exit {_STILL_AT_WORK}; sleep 0.5; done"
)


def settle(ssh: Mapping[str, Sequence[str]], say: Callable[[str], None]) -> None:
    """Wait until no host works for an interrupted run any more.

    A host that does not answer is not judged here: preflight and the facts say more about that.

    Raises:
        PlaybookError: If a host does not come to rest.
    """
    say("making sure that nothing of the interrupted run is still at work on the hosts")
    with ThreadPoolExecutor(max_workers=max(1, len(ssh))) as pool:
        busy = [host for host, rests in zip(ssh, pool.map(_rests, ssh.values()), strict=True) if not rests]
    if busy:
        raise PlaybookError(
            f"something of an interrupted run is still at work on {', '.join(busy)} after {_SECONDS} s",
            hint="look there for a process that hangs (apt-get, dpkg, BECOME-SUCCESS), end it and resume",
        )


def _rests(login: Sequence[str]) -> bool:
    command = [*login, _WAIT]
    try:
        ended = subprocess.run(  # noqa: S603 - argv is built from the inventory's own connection settings
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS + _SSH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode != _STILL_AT_WORK
