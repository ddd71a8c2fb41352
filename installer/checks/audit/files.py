"""Files of a host that too many may change or read, or that belong to nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from installer.checks.audit.model import Part, Question, UnreadableError
from installer.report import CheckResult, Verdict, listed, passed_if

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = 300.0
# A Debian 13 host has at least so many; less says that the walk did not see the host's disks.
_FEWEST: Final = 1000
# Of Debian's packages that hosts have: login, passwd, util-linux, sudo, cron, dbus, openssh, PAM, polkit, fuse.
SET_ID: Final = frozenset(
    {
        "/usr/bin/at",
        "/usr/bin/chage",
        "/usr/bin/chfn",
        "/usr/bin/chsh",
        "/usr/bin/crontab",
        "/usr/bin/dotlockfile",
        "/usr/bin/expiry",
        "/usr/bin/fusermount3",
        "/usr/bin/gpasswd",
        "/usr/bin/mount",
        "/usr/bin/newgrp",
        "/usr/bin/passwd",
        "/usr/bin/pkexec",
        "/usr/bin/ssh-agent",
        "/usr/bin/su",
        "/usr/bin/sudo",
        "/usr/bin/umount",
        "/usr/lib/dbus-1.0/dbus-daemon-launch-helper",
        "/usr/lib/openssh/ssh-keysign",
        "/usr/lib/polkit-1/polkit-agent-helper-1",
        "/usr/sbin/pam_extrausers_chkpwd",
        "/usr/sbin/unix_chkpwd",
    }
)


def order(_question: Question) -> dict[str, Any]:
    """One walk over the host's own disks."""
    return {"do": "files"}


def judge(question: Question, answer: Mapping[str, Any]) -> list[CheckResult]:
    """What is wrong, kind by kind."""
    try:
        looked, counts = int(answer["looked"]), {kind: int(number) for kind, number in answer["counts"].items()}
        found = {kind: [str(path) for path in answer[kind]] for kind in ("writable", "setid", "unowned", "secrets")}
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"the walk over the files answered {str(answer)[:200]}") from error
    if looked < _FEWEST:
        raise UnreadableError(f"the walk saw {looked} files, a Debian 13 host has more")
    host = question.host.name
    allowed = [path for path in found["setid"] if path in SET_ID]
    return [
        _result(host, "writable", found["writable"], counts["writable"], looked, "may be changed by everybody"),
        _result(host, "unowned", found["unowned"], counts["unowned"], looked, "belong to nobody"),
        _result(host, "secrets", found["secrets"], counts["secrets"], looked, "hold a secret everybody may read"),
        *(
            CheckResult(
                check="audit.setid",
                host=host,
                about=path,
                measured=f"{path} runs as its owner or group, whoever starts it",
                wanted="only Debian's known ones",
                verdict=Verdict.FAILED,
                fix=f"dpkg -S {path} names its package; chmod a-s when nobody needs it",
            )
            for path in found["setid"]
            if path not in SET_ID
        ),
        *(
            [
                CheckResult(
                    check="audit.setid",
                    host=host,
                    wanted="only Debian's known ones",
                    verdict=Verdict.PASSED,
                    **listed(allowed, total=looked, what="files"),
                )
            ]
            if len(allowed) == len(found["setid"])
            else []
        ),
    ]


def _result(host: str, kind: str, paths: list[str], count: int, looked: int, what: str) -> CheckResult:
    if not paths:
        said: dict[str, Any] = {"measured": f"0 of {looked} files {what}"}
    else:
        said = listed(paths)
        said["measured"] = f"{count} of {looked} files {what}: {said['measured']}"
    return passed_if(
        count == 0,
        check=f"audit.{kind}",
        host=host,
        wanted="0 files",
        fix="chmod or chown them, and find out which program made them so",
        **said,
    )


PART: Final = Part(
    name="files",
    checks={
        "writable": "nobody but its owner and group may change a file (sticky folders such as /tmp aside)",
        "setid": "no program runs as another user or group but the ones that Debian is known to have",
        "unowned": "every file belongs to a user and a group that exist",
        "secrets": "no private key and no password stands in a file that everybody may read",
    },
    order=order,
    judge=judge,
    seconds=lambda _order: _SECONDS,
)
