"""What the engine finds: Debian's Java 21, able to run and to trust, and no second one."""

from __future__ import annotations

from testinfra.host import Host

JAVA = "/usr/lib/jvm/java-21-openjdk-amd64/bin/java"


def test_java_21_starts_without_a_display(host: Host) -> None:
    shown = host.run("%s -version", JAVA)
    assert shown.rc == 0, shown.stderr
    assert 'openjdk version "21.' in shown.stderr
    assert not host.package("openjdk-21-jre").is_installed


def test_there_is_no_other_java(host: Host) -> None:
    assert host.check_output("ls /usr/lib/jvm | grep -cE '^java-[0-9]+-openjdk-amd64$'") == "1"


def test_it_speaks_tls_1_3(host: Host) -> None:
    settings = host.run("%s -XshowSettings:security:tls -version", JAVA)
    assert "TLSv1.3" in settings.stdout + settings.stderr
