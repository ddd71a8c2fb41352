"""What apt on the hosts sees: one source, signed, over TLS 1.3."""

from __future__ import annotations

from testinfra.host import Host

UPDATE = "apt-get update --quiet=2 --option=APT::Update::Error-Mode=any --option=Dir::State::lists=/run/lists"


def test_the_only_source_is_the_sites_own(host: Host) -> None:
    assert host.check_output("apt-get indextargets --format '$(SITE)'") == "https://ops1.molecule.internal:8543"
    assert "BEGIN PGP PUBLIC KEY BLOCK" in host.check_output("apt-get indextargets --format '$(SIGNED_BY)'")


def test_packages_come_from_there_whatever_else_is_offered(host: Host) -> None:
    policy = host.check_output("apt-cache policy base-files")
    assert "1001 https://ops1.molecule.internal:8543 trixie/main" in policy
    assert host.check_output("apt-cache policy | grep --count '^ *500 ' || true") == "0"


def test_a_fresh_list_is_accepted(host: Host) -> None:
    host.run("rm -rf /run/lists; mkdir -p /run/lists/partial")
    assert host.run(UPDATE).rc == 0


def test_a_server_with_another_authority_is_refused(host: Host) -> None:
    host.run("rm -rf /run/lists; mkdir -p /run/lists/partial")
    public = "Acquire::https::ops1.molecule.internal::CAInfo=/etc/ssl/certs/ca-certificates.crt"
    assert host.run(f"{UPDATE} --option={public}").rc == 100


def test_older_tls_is_refused(host: Host) -> None:
    answer = host.run("openssl s_client -connect ops1.molecule.internal:8543 -tls1_2 </dev/null")
    assert "alert protocol version" in answer.stderr
