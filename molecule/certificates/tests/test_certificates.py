"""What an operator finds on a host: files for the right readers, and certificates openssl accepts."""

from __future__ import annotations

from testinfra.host import Host

TLS = "/etc/sitewright/tls"
SERVICES = {"svc1": ("etcd", "rabbitmq", "redis"), "app1": ("engine", "gateway", "worker")}

OF_THE_DATABASE = ("etcd",)


def _services(host: Host) -> tuple[str, ...]:
    return SERVICES[host.check_output("hostname --short")]


def test_everyone_may_read_the_authoritys_certificate(host: Host) -> None:
    authority = host.file(f"{TLS}/ca.crt")
    assert (authority.user, authority.group, authority.mode) == ("root", "root", 0o644)


def test_only_root_and_the_services_own_group_read_its_key(host: Host) -> None:
    for service in _services(host):
        key = host.file(f"{TLS}/{service}/tls.key")
        assert (key.user, key.group, key.mode) == ("root", f"sw-{service}", 0o640)
        assert key.content_string.startswith("-----BEGIN PRIVATE KEY-----")


def test_nothing_but_key_and_certificate_is_left(host: Host) -> None:
    for service in _services(host):
        own = ["ca.crt"] if service in OF_THE_DATABASE else []
        assert host.check_output("ls -A %s", f"{TLS}/{service}").split() == [*own, "tls.crt", "tls.key"]


def test_the_database_has_an_authority_that_signed_nothing_else(host: Host) -> None:
    for service in _services(host):
        certificate = f"{TLS}/{service}/tls.crt"
        by_the_site = host.run("openssl verify -CAfile %s %s", f"{TLS}/ca.crt", certificate).rc == 0
        assert by_the_site == (service not in OF_THE_DATABASE)


def test_openssl_accepts_every_certificate_for_the_hosts_full_name(host: Host) -> None:
    name = f"{host.check_output('hostname --short')}.molecule.internal"
    for service in _services(host):
        purpose = "sslclient" if service == "worker" else "sslserver"
        verified = host.run(
            "openssl verify -x509_strict -CAfile %s -purpose %s -verify_hostname %s %s",
            *(
                f"{TLS}/{'etcd/' if service in OF_THE_DATABASE else ''}ca.crt",
                purpose,
                name,
                f"{TLS}/{service}/tls.crt",
            ),
        )
        assert verified.rc == 0, verified.stderr


def test_the_public_name_is_in_the_certificate_of_the_gateway_but_not_of_the_worker(host: Host) -> None:
    for service in {"gateway", "worker"} & set(_services(host)):
        text = host.check_output("openssl x509 -noout -ext subjectAltName -in %s", f"{TLS}/{service}/tls.crt")
        assert ("workflow.molecule.internal" in text) == (service == "gateway")
