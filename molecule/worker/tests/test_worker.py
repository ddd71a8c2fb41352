"""What an operator sees of the workers: units that run because they are connected, and secrets for their user only."""

from __future__ import annotations

import json
import time

from testinfra.host import Host

CONFIG = "/etc/sitewright/worker/config.json"
INSTANCES = {"app1": 3, "app2": 2}


def _units(host: Host) -> list[str]:
    wanted = INSTANCES[host.check_output("hostname --short")]
    return [f"sitewright-worker@{number}.service" for number in range(1, wanted + 1)]


def _journal(host: Host) -> str:
    return host.run("journalctl --unit 'sitewright-worker@*' --output cat --no-pager").stdout


def test_five_instances_are_dealt_out_over_both_hosts(host: Host) -> None:
    listed = host.check_output("systemctl list-units --all --plain --no-legend 'sitewright-worker@*.service'")
    assert [line.split()[0] for line in listed.splitlines()] == _units(host)
    for unit in _units(host):
        assert host.service(unit).is_running, _journal(host)
        assert host.service(unit).is_enabled


def test_running_means_connected_to_engine_redis_and_rabbitmq(host: Host) -> None:
    for unit in _units(host):
        shown = host.check_output("systemctl show --property=StatusText --value %s", unit)
        assert shown == "connected to engine, Redis and RabbitMQ"


def test_only_root_and_the_workers_read_the_passwords(host: Host) -> None:
    config = host.file(CONFIG)
    assert (config.user, config.group, config.mode) == ("root", "worker", 0o640)
    assert host.run("runuser -u nobody -- cat %s", CONFIG).rc != 0


def test_units_are_sandboxed(host: Host) -> None:
    unit = _units(host)[0]
    scored = host.run("systemd-analyze security --threshold=30 --no-pager %s", unit)
    assert scored.rc == 0, scored.stdout.splitlines()[-1]


def test_log_is_json_and_holds_no_password(host: Host) -> None:
    config = json.loads(host.file(CONFIG).content_string)
    lines = [line for line in _journal(host).splitlines() if line.startswith("{")]
    assert lines
    for line in lines:
        assert json.loads(line)["message"]
    for section in ("engine", "redis", "rabbitmq"):
        assert config[section]["password"] not in _journal(host)


def test_stopping_ends_in_good_order(host: Host) -> None:
    unit = _units(host)[-1]
    began = time.monotonic()
    host.check_output("systemctl stop %s", unit)
    seconds = time.monotonic() - began
    result = host.check_output("systemctl show --property=Result --value %s", unit)
    host.check_output("systemctl start %s", unit)
    assert result == "success", _journal(host)
    assert seconds < 20
    assert '"message":"stopped"' in _journal(host)
