"""What the repository host serves, and how: apt refuses whatever was touched."""

from __future__ import annotations

import pytest
from testinfra.host import Host

testinfra_hosts = ["repository"]
UPDATE = "apt-get update --quiet=2 --option=APT::Update::Error-Mode=any --option=Dir::State::lists=/run/lists"
INDEX = "/srv/sitewright/repository/current/dists/trixie"


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("InRelease", "sed -i 's/^Origin: Sitewright/Origin: Sitewrighs/'"),
        ("main/binary-amd64/Packages.xz", "truncate --size=-1"),
    ],
)
def test_a_touched_list_is_refused(host: Host, file: str, change: str) -> None:
    path = f"{INDEX}/{file}"
    host.check_output(
        f"cp --archive {path} /run/untouched && {change} {path} && rm -rf /run/lists && mkdir -p /run/lists/partial"
    )
    refused = host.run(UPDATE)
    host.check_output(f"cp --archive /run/untouched {path}")
    assert refused.rc == 100, refused.stderr


def test_a_touched_package_is_refused(host: Host) -> None:
    path = host.check_output("ls /srv/sitewright/repository/current/pool/hostname_*.deb")
    host.check_output(f"cp --archive {path} /run/untouched && printf X | dd of={path} bs=1 seek=900 conv=notrunc")
    refused = host.run("cd /run && apt-get download hostname")
    host.check_output(f"cp --archive /run/untouched {path}")
    assert refused.rc == 100, refused.stdout
    assert "Hash" in refused.stderr


def test_only_its_own_unit_serves_and_debians_stays_off(host: Host) -> None:
    assert host.service("sitewright-repository").is_running
    assert host.service("sitewright-repository").is_enabled
    assert not host.service("nginx").is_running
    assert not host.service("nginx").is_enabled


def test_the_server_sees_only_what_it_serves(host: Host) -> None:
    process = host.check_output("systemctl show --property=MainPID --value sitewright-repository")
    seen = host.check_output(f"ls /proc/{process}/root/srv /proc/{process}/root/home")
    assert "sitewright" in seen
    assert host.check_output(f"ls /proc/{process}/root/home") == ""


def test_the_server_is_confined(host: Host) -> None:
    host.check_output("systemd-analyze security --threshold=30 sitewright-repository.service")


def test_no_archive_of_the_transfer_is_left(host: Host) -> None:
    names = host.check_output("ls -A /srv/sitewright/repository").split()
    assert len([name for name in names if name != "current"]) <= 2
    assert not [name for name in names if name.endswith((".tar", ".partial"))]
