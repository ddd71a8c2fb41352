"""HTTPS with JSON as the modules speak it, against a real server with certificates of a real authority."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from installer.pki import Wanted, ensure_authority
from plugins.module_utils.https import Client, NoAnswerError, UntrustedError
from plugins.module_utils.tls import context
from tests.module_runner import ModuleFailedError, run_module

LOGIN = ("admin", "a password: with a colon")
NODE = {
    **{"name": "rabbit@svc1", "running": True, "partitions": []},
    **{"mem_alarm": False, "disk_free_alarm": False},
}
ANSWERS: dict[str, Any] = {
    "/api/nodes": [NODE],
    "/api/definitions": {"vhosts": [{"name": "v"}], "users": [{"name": "guest"}]},
    "/api/feature-flags": [{"name": "new", "stability": "stable", "state": "disabled"}],
    "/api/queues?disable_stats=true&enable_queue_totals=true": [],
}


class Handler(BaseHTTPRequestHandler):
    """Answers what it was asked; `/drop` breaks the connection off."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str, str]] = []  # noqa: RUF012 - one server, one list

    def handle_one(self) -> None:
        """Any request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.asked.append((self.command, self.path, body))
        if self.path == "/drop":
            self.connection.close()
            return
        status = 401 if self.path == "/refused" else 200
        content = json.dumps(ANSWERS.get(self.path, {"method": self.command, "body": body})).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = handle_one  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("https")
    authority = ensure_authority(folder / "pki", "passphrase", name="test")
    argv = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"]
    subprocess.run([*argv, str(folder / "tls.key")], check=True, capture_output=True)
    argv = ["openssl", "pkey", "-in", str(folder / "tls.key"), "-pubout"]
    public = load_pem_public_key(subprocess.run(argv, check=True, capture_output=True).stdout)
    names = {"dns_names": ["localhost"], "ip_addresses": ["127.0.0.1"], "usages": ["server", "client"]}
    certificate = authority.certify(public, Wanted.from_variables(names), lifetime=timedelta(days=2))
    (folder / "tls.crt").write_text(certificate)
    (folder / "ca.crt").write_text(authority.pem)
    (folder / "other.crt").write_text(ensure_authority(folder / "other", "passphrase", name="other").pem)
    return folder


@pytest.fixture(scope="module")
def port(files: Path) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files / "tls.crt", files / "tls.key")
    tls.load_verify_locations(files / "ca.crt")
    tls.verify_mode = ssl.CERT_OPTIONAL
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(files: Path, port: int) -> Iterator[Client]:
    made = Client.of(f"https://localhost:{port}/base/", context(str(files / "ca.crt")), login=LOGIN, timeout_seconds=5)
    yield made
    made.close()


def test_a_body_goes_out_as_json_and_comes_back_parsed(client: Client) -> None:
    answer = client.send("POST", "/x", {"a": [1]})
    assert (answer.status, answer.is_error) == (200, False)
    assert answer.json() == {"method": "POST", "body": '{"a": [1]}'}


def test_a_connection_that_broke_is_opened_again(files: Path, port: int) -> None:
    client = Client(f"localhost:{port}", context(str(files / "ca.crt")), login=LOGIN, timeout_seconds=5)
    with pytest.raises(NoAnswerError):
        client.send("GET", "/drop")
    assert client.send("GET", "/x").status == 200
    client.close()


def test_an_authority_nobody_trusts_is_no_server_that_is_away(files: Path, port: int) -> None:
    client = Client(f"localhost:{port}", context(str(files / "other.crt")), login=LOGIN, timeout_seconds=5)
    with pytest.raises(UntrustedError, match="certificate is not accepted"):
        client.send("GET", "/x")


def test_an_address_without_tls_is_refused() -> None:
    with pytest.raises(ValueError, match="is not an https address"):
        Client.of("http://localhost/", context(None), login=LOGIN)


@pytest.fixture
def broker(files: Path, port: int, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "definitions.json").write_text(json.dumps({"vhosts": [{"name": "v"}], "users": [{"name": "app"}]}))
    Handler.asked.clear()
    return {
        "host": "localhost",
        "port": port,
        "members": ["rabbit@svc1"],
        "definitions_file": str(tmp_path / "definitions.json"),
        "ca_file": str(files / "ca.crt"),
        "certificate_file": str(files / "tls.crt"),
        "key_file": str(files / "tls.key"),
        "username": "admin",
        "password": LOGIN[1],
        "timeout_seconds": 1,
    }


def test_check_mode_tells_what_the_broker_lacks_and_only_asks(broker: dict[str, Any]) -> None:
    told = run_module("rabbitmq_definitions", broker, check=True)
    assert told["done"] == ["users app", "removed user guest", "feature flag new"]
    assert told["diff"]["after"].splitlines() == told["done"]
    assert [change["name"] for change in told["plan"]["changes"]] == told["done"]
    assert {method for method, _, _ in Handler.asked} == {"GET"}


def test_definitions_the_broker_keeps_otherwise_are_an_error_that_names_them(broker: dict[str, Any]) -> None:
    with pytest.raises(ModuleFailedError, match="keeps its own version of users app"):
        run_module("rabbitmq_definitions", broker)
    assert [path for method, path, _ in Handler.asked if method == "POST"] == ["/api/definitions"]


def test_a_member_that_is_missing_is_waited_for_and_named(broker: dict[str, Any]) -> None:
    with pytest.raises(ModuleFailedError, match="the cluster has rabbit@svc1, wanted are rabbit@svc1, rabbit@svc2"):
        run_module("rabbitmq_definitions", broker | {"members": ["rabbit@svc1", "rabbit@svc2"]})


@pytest.mark.parametrize("state", ["whole", "restartable"])
def test_health_of_the_broker_only_asks(broker: dict[str, Any], state: str) -> None:
    del broker["definitions_file"]
    assert run_module("rabbitmq_health", broker | {"state": state})["changed"] is False
    assert {method for method, _, _ in Handler.asked} == {"GET"}
    asked = [path for _, path, _ in Handler.asked]
    assert asked[0] == "/api/nodes"
    assert ("/api/health/checks/node-is-quorum-critical" in asked) == (state == "restartable")


def test_health_of_a_broker_without_a_member_is_told_in_check_mode_and_fails_for_real(broker: dict[str, Any]) -> None:
    del broker["definitions_file"]
    broker["members"] = ["rabbit@svc1", "rabbit@svc2"]
    assert "wanted are rabbit@svc1, rabbit@svc2" in run_module("rabbitmq_health", broker, check=True)["problem"]
    with pytest.raises(ModuleFailedError, match="localhost says after 1 s: the cluster has rabbit@svc1, wanted"):
        run_module("rabbitmq_health", broker)
