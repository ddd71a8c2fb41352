"""What apt on the hosts sees: one source, signed, over TLS 1.3, and nothing that was touched on the way."""

from __future__ import annotations

import pytest
from testinfra.host import Host

UPDATE = "apt-get update --quiet=2 --option=APT::Update::Error-Mode=any --option=Dir::State::lists=/run/lists"
INDEX = "/srv/sitewright/repository/current/dists/trixie"


def serves(host: Host) -> bool:
    return host.file("/srv/sitewright/repository").exists


@pytest.fixture
def server(host: Host) -> Host:
    """The repository host; the test does not concern the others."""
    if not serves(host):
        pytest.skip("this host serves no packages")
    return host


def test_the_only_source_is_the_sites_own(host: Host) -> None:
    sources = host.check_output("apt-get indextargets --format '$(SITE) $(SIGNED_BY)'").splitlines()
    assert len(sources) == 1
    assert sources[0].startswith("https://ops1.molecule.internal:8543 -----BEGIN PGP PUBLIC KEY BLOCK-----")


def test_packages_come_from_there_whatever_else_is_offered(host: Host) -> None:
    policy = host.check_output("apt-cache policy base-files")
    assert "1001 https://ops1.molecule.internal:8543 trixie/main" in policy
    assert host.check_output("apt-cache policy | grep --count '^ *500 ' || true") == "0"


def test_a_fresh_list_is_accepted(host: Host) -> None:
    host.run("rm -rf /run/lists; mkdir -p /run/lists/partial")
    assert host.run(UPDATE).rc == 0


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("InRelease", "sed -i 's/^Origin: Sitewright/Origin: Sitewrighs/'"),
        ("main/binary-amd64/Packages.xz", "truncate --size=-1"),
    ],
)
def test_a_touched_list_is_refused(server: Host, file: str, change: str) -> None:
    path = f"{INDEX}/{file}"
    server.check_output(
        f"cp --archive {path} /run/untouched && {change} {path} && rm -rf /run/lists && mkdir -p /run/lists/partial"
    )
    refused = server.run(UPDATE)
    server.check_output(f"cp --archive /run/untouched {path}")
    assert refused.rc == 100, refused.stderr


def test_a_touched_package_is_refused(server: Host) -> None:
    path = server.check_output("ls /srv/sitewright/repository/current/pool/hostname_*.deb")
    server.check_output(f"cp --archive {path} /run/untouched && printf X | dd of={path} bs=1 seek=900 conv=notrunc")
    refused = server.run("cd /run && apt-get download hostname")
    server.check_output(f"cp --archive /run/untouched {path}")
    assert refused.rc == 100, refused.stdout
    assert "Hash" in refused.stderr


def test_a_server_with_another_authority_is_refused(host: Host) -> None:
    host.run("rm -rf /run/lists; mkdir -p /run/lists/partial")
    public = "Acquire::https::ops1.molecule.internal::CAInfo=/etc/ssl/certs/ca-certificates.crt"
    assert host.run(f"{UPDATE} --option={public}").rc == 100


def test_older_tls_is_refused(host: Host) -> None:
    answer = host.run("openssl s_client -connect ops1.molecule.internal:8543 -tls1_2 </dev/null")
    assert "alert protocol version" in answer.stderr


def test_only_its_own_unit_serves_and_debians_stays_off(server: Host) -> None:
    assert server.service("sitewright-repository").is_running
    assert server.service("sitewright-repository").is_enabled
    assert not server.service("nginx").is_running
    assert not server.service("nginx").is_enabled


def test_the_server_sees_only_what_it_serves(server: Host) -> None:
    process = server.check_output("systemctl show --property=MainPID --value sitewright-repository")
    seen = server.check_output(f"ls /proc/{process}/root/srv /proc/{process}/root/home")
    assert "sitewright" in seen
    assert server.check_output(f"ls /proc/{process}/root/home") == ""


def test_the_server_is_confined(server: Host) -> None:
    server.check_output("systemd-analyze security --threshold=30 sitewright-repository.service")


def test_no_archive_of_the_transfer_is_left(server: Host) -> None:
    names = server.check_output("ls -A /srv/sitewright/repository").split()
    assert len([name for name in names if name != "current"]) <= 2
    assert not [name for name in names if name.endswith((".tar", ".partial"))]
