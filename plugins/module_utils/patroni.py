"""A Patroni cluster as its REST API describes it, for the modules that change it and those that only look."""

from __future__ import annotations

import http
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.sitewright.platform.plugins.module_utils.https import (
    Answer,
    Client,
    NoAnswerError,
    UntrustedError,
)
from ansible_collections.sitewright.platform.plugins.module_utils.tls import context

UNIT = "patroni.service"
STANDBY_ROLES = ("replica", "sync_standby", "quorum_standby")
SYNCHRONOUS_ROLES = ("sync_standby", "quorum_standby")
PAUSE_SECONDS = 0.3
REQUEST_SECONDS = 10


class ClusterError(Exception):
    """The cluster is not, or did not become, what it should be."""


class NotSetUpError(ClusterError):
    """There is no Patroni on this host yet."""


@dataclass
class Member:
    """One member as the cluster describes it."""

    name: str
    role: str
    state: str
    url: str


def read_config(path: str) -> dict[str, Any]:
    """Patroni's configuration on this host.

    Raises:
        NotSetUpError: If there is none, or nothing to read it with.
    """
    try:
        import yaml  # noqa: PLC0415 - Debian's Patroni brings it; before that there is none

        config: dict[str, Any] = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (ImportError, OSError) as error:
        raise NotSetUpError(f"Patroni is not set up here: {error}") from error
    return config


class Patroni:
    """Patroni's REST API, spoken as the member whose configuration was read."""

    def __init__(self, config: dict[str, Any]) -> None:
        """Prepare TLS and authentication.

        Raises:
            NotSetUpError: If the member has no certificate yet.
        """
        rest, ctl = config["restapi"], config["ctl"]
        try:
            self.tls = context(ctl["cacert"], ctl["certfile"], ctl["keyfile"])
        except OSError as error:
            raise NotSetUpError(f"Patroni's client certificate cannot be read: {error}") from error
        self.url = f"https://{rest['connect_address']}"
        self.login = (rest["authentication"]["username"], rest["authentication"]["password"])

    def ask(self, url: str, method: str = "GET", body: object = None, timeout: float = REQUEST_SECONDS) -> Answer:
        """Send one request.

        Raises:
            ClusterError: If nobody answers.
        """
        parts = urlsplit(url)
        client = Client(parts.netloc, self.tls, login=self.login, timeout_seconds=timeout)
        try:
            return client.send(method, parts.path, body)
        except (NoAnswerError, UntrustedError) as error:
            raise ClusterError(f"Patroni at {url} does not answer: {error}") from error
        finally:
            client.close()

    def read(self, path: str) -> dict[str, Any]:
        """What this member answers to a question about the cluster."""
        answer = self.ask(f"{self.url}{path}")
        if answer.status != http.HTTPStatus.OK:
            raise ClusterError(f"{self.url}{path}: {answer.status} {answer.words()}")
        read: dict[str, Any] = answer.json()
        return read

    def members(self) -> list[Member]:
        """All members there are."""
        return [
            Member(
                name=raw["name"],
                role=raw["role"],
                state=raw["state"],
                url=raw["api_url"].rsplit("/", 1)[0],
            )
            for raw in self.read("/cluster")["members"]
        ]

    def shared_settings(self) -> dict[str, Any]:
        """The settings kept in etcd."""
        return self.read("/config")

    def own_word(self, member: Member) -> dict[str, Any]:
        """What a member says about itself, newer than what the cluster knows of it."""
        word: dict[str, Any] = self.ask(f"{member.url}/patroni").json()
        return word

    def pending(self, members: list[Member]) -> dict[str, dict[str, Any]]:
        """Members whose PostgreSQL must restart, with the parameters that ask for it."""
        words = {member.name: self.own_word(member) for member in members}
        return {
            name: word.get("pending_restart_reason") or {}
            for name, word in words.items()
            if word.get("pending_restart")
        }


def leader_of(members: list[Member]) -> Member | None:
    """The primary, None unless there is exactly one that runs."""
    leaders = [member for member in members if member.role == "leader" and member.state == "running"]
    return leaders[0] if len(leaders) == 1 else None


def shortcomings(members: list[Member], expected: list[str], *, synchronous: bool) -> list[str]:
    """Why the cluster is not whole, in words; nothing when it is."""
    known = {member.name: member for member in members}
    words = [f"{name} has not joined" for name in expected if name not in known]
    if leader_of(members) is None:
        words.append("there is no primary")
    standbys = [known[name] for name in expected if name in known and known[name].role in STANDBY_ROLES]
    words += [f"{member.name} is {member.state}" for member in standbys if member.state != "streaming"]
    if synchronous and standbys and not any(member.role in SYNCHRONOUS_ROLES for member in standbys):
        words.append("no standby is synchronous")
    return words


class Cluster:
    """The cluster, and waiting for it."""

    def __init__(self, patroni: Patroni, expected: list[str], timeout_seconds: int) -> None:
        """Remember whom to ask and how long."""
        self.patroni = patroni
        self.expected = expected
        self.timeout_seconds = timeout_seconds

    def lacking(self) -> tuple[list[Member], list[str]]:
        """The members, and what the cluster lacks now."""
        try:
            members = self.patroni.members()
            synchronous = bool(self.patroni.shared_settings().get("synchronous_mode"))
        except ClusterError as error:
            return [], [str(error)]
        return members, shortcomings(members, self.expected, synchronous=synchronous)

    def wait_until_whole(self) -> list[Member]:
        """Wait for one primary and all standbys streaming.

        Raises:
            ClusterError: If that takes too long; it says what is missing and where to look.
        """
        deadline = time.monotonic() + self.timeout_seconds
        while True:
            members, words = self.lacking()
            if not words:
                return members
            if time.monotonic() >= deadline:
                raise ClusterError(
                    f"after {self.timeout_seconds} s: {'; '.join(words)}. "
                    "Look at `patronictl -c /etc/patroni/config.yml list` and `journalctl -u patroni` on the members."
                )
            time.sleep(PAUSE_SECONDS)

    def wait_for(self, condition: Callable[[], bool], problem: str) -> None:
        """Wait until a condition holds.

        Raises:
            ClusterError: If that takes too long.
        """
        deadline = time.monotonic() + self.timeout_seconds
        while not condition():
            if time.monotonic() >= deadline:
                raise ClusterError(f"{problem} in {self.timeout_seconds} s")
            time.sleep(PAUSE_SECONDS)
