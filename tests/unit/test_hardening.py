"""Controls, their exceptions, what they ask of the kernel, and how a host's answer is judged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from installer.checks.verify import integrity
from installer.checks.verify.control_answers import missing, question, read
from installer.manifests import load_manifests
from installer.manifests.controls import control_checks, exceptions, known_controls
from installer.report import Verdict
from installer.services.hosts import kernel_settings
from plugins.filter.hardening import controls_in_force, hardening_pairs

ROOT = Path(__file__).resolve().parents[2]
CONTROLS = known_controls()
KINDS = {
    *("sshd", "login_defs", "pwquality", "coredump", "sysctl", "profile", "sudo", "limits", "modules", "modes"),
    *("banner", "faillock", "pam", "apt", "timers", "auditd", "audit_watches", "audit_calls", "aide"),
}


def raw() -> list[dict[str, Any]]:
    return [{"id": each.id, "title": each.title, **each.settings} for each in CONTROLS.values()]


def site(*waivers: dict[str, Any], groups: tuple[str, ...] = ("redis",)) -> dict[str, Any]:
    return {
        "rehearsal": False,
        "hosts": {"h": {"groups": list(groups)}},
        "groups": {group: ["h"] for group in groups},
        "waivers": list(waivers),
    }


def waiver(check: str, host: str | None = None) -> dict[str, Any]:
    return {"check": check, "host": host, "reason": "the scanner needs it", "expires": "2027-03-31"}


def test_every_control_has_a_reason_a_reference_and_sets_something_known() -> None:
    assert len(CONTROLS) > 20
    for control in CONTROLS.values():
        assert control.title
        assert control.why
        assert control.references, control.id
        assert control.settings.keys() <= KINDS, control.id
        assert control.settings, control.id


def test_no_two_controls_set_the_same() -> None:
    seen: dict[tuple[str, str], str] = {}
    for control in CONTROLS.values():
        for kind, said in control.settings.items():
            for name in said if isinstance(said, dict) else ():
                assert seen.setdefault((kind, name), control.id) == control.id


def test_a_waiver_takes_a_control_and_its_kernel_settings_from_one_host() -> None:
    assert "kernel.sysrq" in kernel_settings(site(), "h")
    excepted = site(waiver("hardening.kernel.interfaces", "h"), waiver("hardening.ssh.root", "other"))
    assert exceptions(excepted, "h") == {"kernel.interfaces": "until 2027-03-31: the scanner needs it"}
    assert "kernel.sysrq" not in kernel_settings(excepted, "h")
    assert "hardening.kernel.interfaces" in control_checks()


def test_a_service_that_wants_what_hardening_refuses_is_an_error_with_both_sides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    control = CONTROLS["network.floods"]
    hostile = {**CONTROLS, control.id: type(control)(
        id=control.id, title="", why="", references=(), settings={"sysctl": {"vm.overcommit_memory": 2}}
    )}  # fmt: skip
    monkeypatch.setattr("installer.manifests.controls.known_controls", lambda: hostile)
    with pytest.raises(ValueError, match=r"on h: redis wants 1, hardening\.network\.floods wants 2"):
        kernel_settings(site(), "h")


def test_the_operator_is_never_locked_out() -> None:
    with pytest.raises(AnsibleFilterError, match="would let nobody in"):
        controls_in_force(raw(), [], [])
    with pytest.raises(AnsibleFilterError, match="would lock out root"):
        controls_in_force(raw(), [], ["root"])
    assert controls_in_force(raw(), ["ssh.root"], ["root"])
    with pytest.raises(AnsibleFilterError, match=r"names no control: ssh\.roots"):
        controls_in_force(raw(), ["ssh.roots"], ["operator"])


def test_ssh_takes_exactly_the_logins() -> None:
    found = hardening_pairs(controls_in_force(raw(), [], ["operator", "nightshift", "operator"]), "sshd")
    assert ("AllowUsers", "operator nightshift") in [pair for each in found for pair in each["pairs"]]


def test_a_hosts_answer_is_judged_setting_by_setting() -> None:
    answer = (
        "sshd permitrootlogin without-password\nsshd allowusers a\nsshd allowusers b\nsysctl kernel.sysrq 176\n"
        "mode /etc/crontab 0644\nmodule udf /bin/false\nlogin_defs UMASK 022\n"
        "faillock deny 0\npam common-auth pam_unix.so\npam common-auth pam_faillock.so\n"
    )
    found = read(answer)
    assert found["sshd"]["allowusers"] == "a b"

    def said(name: str, *, container: bool = False) -> list[str]:
        return list(missing(CONTROLS[name], found, container=container))

    assert said("ssh.root") == ["sshd PermitRootLogin is without-password, not no"]
    assert "kernel.sysrq is 176, not 0" in said("kernel.interfaces")
    assert said("kernel.interfaces", container=True) == ["net.core.bpf_jit_harden is nothing, not 2"]
    assert said("files.cron") == ["/etc/crontab has mode 0644, not 0600"]
    assert "module cramfs may be loaded" in said("modules.filesystems")
    assert "module udf may be loaded" not in said("modules.filesystems")
    assert "UMASK is 022, not 027" in said("login.umask")
    assert said("login.lockout") == [
        "deny is 0, not 5",
        "fail_interval is nothing, not 900",
        "unlock_time is nothing, not 900",
        "/etc/pam.d/common-account has no pam_faillock.so",
    ]


def test_apts_answer_is_judged_list_by_list() -> None:
    wanted = CONTROLS["updates.security"].settings["apt"]
    lines = [
        f"apt {name}:: {each}" if isinstance(value, list) else f"apt {name} {each}"
        for name, value in wanted.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    timers = ["timer apt-daily.timer active", "timer apt-daily-upgrade.timer active"]

    def said(*answer: str) -> list[str]:
        return list(missing(CONTROLS["updates.security"], read("\n".join(answer)), container=False))

    assert said(*lines, *timers) == []
    assert said(*lines, timers[0], "timer apt-daily-upgrade.timer inactive") == ["apt-daily-upgrade.timer is inactive"]
    of_debian = "apt Unattended-Upgrade::Origins-Pattern:: origin=Debian"
    (both,) = said(*lines, of_debian, *timers)
    assert both == "apt's Unattended-Upgrade::Origins-Pattern is origin=Sitewright origin=Debian, not origin=Sitewright"


def test_records_are_judged_by_the_kernel_where_there_is_one() -> None:
    control = CONTROLS["records.calls"]
    assert control.audit_rules == 5
    written = "written records.calls 5\n"

    def said(answer: str, *, container: bool) -> list[str]:
        return list(missing(control, read(answer), container=container))

    assert said(written, container=True) == []
    assert said("", container=True) == ["0 rules of auditd are written, not 5"]
    assert said(f"{written}auditctl enabled 2\nin_kernel records.calls 5", container=False) == []
    assert said(f"{written}auditctl enabled 1", container=False) == [
        "auditd's rules are not locked (enabled 1, not 2)",
        "no rule of auditd is in the kernel",
    ]


def test_a_difference_is_told_and_stops_nothing() -> None:
    def said(**found: str) -> tuple[str, Verdict]:
        result = integrity.judge("db1", found)
        return result.measured, result.verdict

    assert said() == ("no baseline", Verdict.INFORMATION)
    taken = {"baseline": "2026-11-30T19:00+00:00", "result": "success"}
    assert said(**taken) == ("baseline of 2026-11-30T19:00+00:00, compared: not yet", Verdict.PASSED)
    differs = said(**{**taken, "result": "exit-code", "compared": "Tue"})
    assert differs == ("baseline of 2026-11-30T19:00+00:00, compared: Tue, differs", Verdict.INFORMATION)


def test_no_service_is_upgraded_by_its_host_alone() -> None:
    """Whatever role it comes from, but for what role base brings on every host, and one pattern too many is seen."""
    held = CONTROLS["updates.security"].settings["apt"]["Unattended-Upgrade::Package-Blacklist"]
    manifests = load_manifests(ROOT)
    of_all = {name for each in manifests.values() if each.group == "all" for name in each.packages}
    of_services = {name for each in manifests.values() if each.group != "all" for name in each.packages}
    of_services |= {"sitewright-worker", "sitewright-models", "pgbackrest"}
    assert {name for name in of_services - of_all if not any(re.match(each, name) for each in held)} == set()
    assert {name for name in of_all if any(re.match(each, name) for each in held)} == set()
    (said,) = CONTROLS["updates.security"].settings["apt"]["Unattended-Upgrade::Origins-Pattern"]
    origin = yaml.safe_load((ROOT / "roles/repository/vars/main.yml").read_text())["__repository_origin"]
    assert said == f"origin={origin}"


def test_the_question_asks_for_every_kernel_setting_and_mode() -> None:
    asked = question()
    assert all(key in asked for control in CONTROLS.values() for key in control.sysctls)
    assert "/etc/ssh/sshd_config" in asked


def test_every_kernel_setting_is_one_of_this_kernel() -> None:
    """A host may lack one; a name that no kernel knows would pass for ever."""
    keys = {key for control in CONTROLS.values() for key in control.sysctls}
    # Debian's kernel has these; a small one need not.
    optional = {"kernel.kexec_load_disabled", "kernel.yama.ptrace_scope", "kernel.sysrq"}
    missing_here = {key for key in keys - optional if not Path("/proc/sys", *key.split(".")).exists()}
    assert missing_here == set()
