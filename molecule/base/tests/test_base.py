"""What an administrator finds on a prepared host."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testinfra.host import Host


def test_every_name_of_the_site_is_known_without_dns(host: Host) -> None:
    names = host.file("/etc/hosts").content_string
    assert "Managed by Sitewright" in names
    assert host.check_output("getent hosts ops1").split()[0] == "10.250.0.11"
    assert host.check_output("getent hosts app1").split()[0] == "10.250.0.12"


def test_packages_come_from_the_site_and_from_nowhere_else(host: Host) -> None:
    with host.sudo():
        sources = host.check_output("grep -rhE '^(URIs|deb)' /etc/apt/sources.list /etc/apt/sources.list.d || true")
    assert sources.split("\n")[0].startswith("URIs: https://ops1.")
    assert len(sources.strip().split("\n")) == 1
    assert "8543" in host.check_output("apt-cache policy chrony")


def test_marker_names_the_site_for_preflight(host: Host) -> None:
    assert host.file("/etc/sitewright/site").content_string.startswith("molecule-base")


def test_release_and_bundle_are_named(host: Host) -> None:
    said = dict(line.split("=") for line in host.file("/etc/sitewright/release").content_string.splitlines())
    assert said["site"] == "molecule-base"
    assert said["release"][0].isdigit()
    assert len(said["bundle"]) == 16


def test_journal_is_kept_within_its_limit_by_the_running_journald(host: Host) -> None:
    settings = "/etc/systemd/journald.conf.d/sitewright.conf"
    assert host.file(settings).contains("SystemMaxUse=1024M")
    assert host.file("/var/log/journal").is_directory
    changed = float(host.check_output(f"stat -c %Y {settings}"))
    started = float(host.check_output('date -d "$(systemctl show systemd-journald -P ExecMainStartTimestamp)" +%s'))
    assert started >= changed


def test_clock_is_kept_in_the_sites_time_zone(host: Host) -> None:
    assert host.check_output("readlink /etc/localtime") == "/usr/share/zoneinfo/UTC"
    assert host.service("chrony").is_enabled


# A container has no clock to set: here the daemon leaves it alone (-x), in all the rest of its sandbox.
WITHOUT_THE_CLOCK = (
    "[Unit]\nConditionCapability=\n[Service]\nCapabilityBoundingSet=\nAmbientCapabilities=\n"
    "ExecStart=\nExecStart=/usr/sbin/chronyd -U $DAEMON_OPTS -x\n"
)


def test_the_clocks_daemon_reaches_little_and_runs_in_its_sandbox(host: Host) -> None:
    folder = "/run/systemd/system/chrony.service.d"
    with host.sudo():
        said = host.check_output("systemd-analyze security --no-pager chrony.service | tail -1")
        assert float(said.split()[6]) <= 1.9, said
        host.check_output("mkdir -p %s && printf %%s %s >%s", folder, WITHOUT_THE_CLOCK, f"{folder}/zz.conf")
        try:
            host.check_output("systemctl daemon-reload && systemctl restart chrony")
            assert "Not synchronised" in host.check_output("chronyc tracking")
            assert host.check_output("ps -o user= -C chronyd").split()[0] == "_chrony"
        finally:
            host.check_output("systemctl stop chrony; rm -r %s; systemctl daemon-reload", folder)


# What a package's own settings were before, which dpkg and ucf put beside them, chrony does not read.
READ_BY_CHRONY = "--include='*.conf' --include='*.sources'"


def test_time_comes_from_the_site_or_from_nowhere(host: Host) -> None:
    said = host.check_output(f"grep -rhE {READ_BY_CHRONY} '^(pool|server|peer)' /etc/chrony || true")
    assert said == ""
    assert not host.file("/etc/chrony/chrony.conf").contains("debian.pool.ntp.org")


def test_an_administrator_comes_in_by_key_and_becomes_root(host: Host) -> None:
    user = host.user("nightshift")
    assert user.shell == "/bin/bash"
    assert {"sudo", "adm", "systemd-journal"} <= set(user.groups)
    with host.sudo():
        keys = host.file("/home/nightshift/.ssh/authorized_keys")
        assert (keys.user, keys.mode) == ("nightshift", 0o600)
        assert keys.content_string.endswith("nightshift@hospital\n")
        assert host.check_output("passwd --status nightshift").split()[1] == "L"
    with host.sudo("nightshift"):
        assert host.check_output("sudo -n id -un") == "root"
