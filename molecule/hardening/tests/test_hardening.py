"""What an attacker and an administrator find on a hardened host."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testinfra.host import Host


def _sshd(host: Host) -> dict[str, str]:
    with host.sudo():
        lines = host.check_output("/usr/sbin/sshd -T").splitlines()
    return dict(line.partition(" ")[::2] for line in lines)


def test_root_passwords_and_forwarding_are_refused_by_the_running_sshd(host: Host) -> None:
    settings = _sshd(host)
    assert settings["permitrootlogin"] == "no"
    assert settings["passwordauthentication"] == settings["kbdinteractiveauthentication"] == "no"
    assert settings["disableforwarding"] == "yes"
    assert "nistp" not in settings["kexalgorithms"] + settings["hostkeyalgorithms"]
    assert "sha1" not in settings["macs"]
    changed = float(host.check_output("sudo stat -c %Y /etc/ssh/sshd_config.d/10-sitewright.conf"))
    asked = "systemctl show ssh.service -P StateChangeTimestamp"
    assert float(host.check_output(f'date -d "$({asked})" +%s')) >= changed - 1


def test_only_the_operator_logs_in(host: Host) -> None:
    assert _sshd(host)["allowusers"] == "sitewright"


def test_network_settings_are_in_force(host: Host) -> None:
    for key, value in {
        "net.ipv4.conf.all.accept_redirects": 0,
        "net.ipv4.conf.all.send_redirects": 0,
        "net.ipv4.conf.all.rp_filter": 1,
        "net.ipv4.conf.all.log_martians": 1,
        "net.ipv4.ip_forward": 0,
        "net.ipv6.conf.all.accept_ra": 0,
    }.items():
        assert host.sysctl(key) == value, key


def test_a_kernel_setting_of_a_real_host_is_written_all_the_same(host: Host) -> None:
    assert host.file("/etc/sysctl.d/60-sitewright.conf").contains("kernel.kptr_restrict = 2")


def test_sudo_still_works_and_is_written_down(host: Host) -> None:
    assert host.check_output("sudo -n id -un") == "root"
    with host.sudo():
        assert "COMMAND=/usr/bin/id" in host.file("/var/log/sudo.log").content_string.replace("\n    ", " ")


def test_a_new_login_has_closed_files_and_a_shell_that_ends(host: Host) -> None:
    assert host.check_output("bash -lc 'umask; echo $TMOUT'").split() == ["0027", "900"]


def test_a_weak_password_is_refused(host: Host) -> None:
    with host.sudo():
        host.check_output("useradd weakling")
        refused = host.run("echo weakling:weak | chpasswd")
        host.check_output("userdel weakling")
    assert "BAD PASSWORD" in refused.stderr + refused.stdout


def test_modules_nobody_needs_are_refused(host: Host) -> None:
    assert host.file("/etc/modprobe.d/sitewright.conf").contains("^install usb-storage /bin/false$")


def _sudo_with(host: Host, password: str) -> str:
    """What sudo says to a user who must give a password."""
    # Not su, which would be a login that passes, and begin the count anew.
    asked = f"runuser -u weakling -- sh -c 'echo {password} | sudo -S -k true' 2>&1"
    return str(host.run(asked).stdout)


def test_wrong_passwords_close_a_login_to_passwords_and_not_to_others(host: Host) -> None:
    good = "Correct-horse-battery-7"
    with host.sudo():
        host.check_output("useradd --create-home weakling")
        host.check_output(f"echo weakling:{good} | chpasswd")
        try:
            before = _sudo_with(host, good)
            for _ in range(5):
                _sudo_with(host, "wrong")
            refused = _sudo_with(host, good)
            counted = host.check_output("faillock --user weakling | grep -c V")
            host.check_output("faillock --user weakling --reset")
            again = _sudo_with(host, good)
        finally:
            host.check_output("userdel --remove weakling")
    assert "not in the sudoers file" in before  # the password was right
    assert "not in the sudoers file" not in refused
    assert int(counted) >= 5
    assert "not in the sudoers file" in again


def test_the_host_upgrades_itself_from_the_sites_repository_and_leaves_services_alone(host: Host) -> None:
    """Seen without a network: it asks the site's repository, and nobody else."""
    with host.sudo():
        said = host.check_output("unattended-upgrade --dry-run --debug 2>&1")
    assert "Allowed origins are: origin=Sitewright\n" in said
    assert " postgresql " in next(line for line in said.splitlines() if line.startswith("Initial blacklist:"))
    assert "No packages found that can be upgraded unattended" in said
    assert host.service("apt-daily-upgrade.timer").is_running


def test_records_are_asked_for_and_wait_for_a_kernel(host: Host) -> None:
    """A container has none; docs/measured/virtual-machine.md shows them in force."""
    with host.sudo():
        host.run("augenrules")  # as its unit does where there is a kernel for it, which then loads them
        rules = host.file("/etc/audit/audit.rules").content_string.split("\n")
        assert host.file("/etc/audit/auditd.conf").contains("^num_logs = 8$")
    assert [line for line in rules if line][1] == "-D"
    assert [line for line in rules if line][-1] == "-e 2"
    assert "-a always,exit -F arch=b64 -F dir=/etc/ssh -F perm=wa -F key=records.files" in rules
    assert host.check_output("systemctl show auditd -P ActiveState") == "inactive"
    assert host.check_output("systemctl list-units --failed --plain --no-legend") == ""


def test_what_somebody_changes_is_seen_and_what_is_accepted_is_not(host: Host) -> None:
    unit, stray = "sitewright-integrity.service", "/usr/local/bin/stray"
    with host.sudo():
        assert "no baseline yet" in host.run("sitewright-integrity").stderr
        host.check_output("sitewright-integrity --accept")
        try:
            assert host.run("systemctl start %s", unit).rc == 0
            host.check_output("touch %s && cp -p /etc/hosts /etc/hosts.same && mv /etc/hosts.same /etc/hosts", stray)
            assert host.run("systemctl start %s", unit).rc != 0
            said = host.run("sitewright-integrity")
            assert said.rc == 1
            assert stray in said.stdout
            assert "/etc/hosts" not in said.stdout
            # The host's own upgrades accept nothing that was there before them.
            host.check_output("sitewright-integrity --before-upgrade && touch /var/lib/dpkg/status")
            host.check_output("sitewright-integrity --after-upgrade")
            assert host.run("sitewright-integrity").rc == 1
        finally:
            host.check_output("rm -f %s && sitewright-integrity --accept", stray)
        assert host.check_output("systemctl list-units --failed --plain --no-legend") == ""
        score = host.check_output("systemd-analyze security --no-pager %s | tail -1", unit).split()[6]
        assert float(score) <= 1.6
        host.check_output("rm /var/lib/aide/aide.db")
    assert host.service("sitewright-integrity.timer").is_running
