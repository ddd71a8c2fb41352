"""The stages of an install. A new service adds a line here."""

from __future__ import annotations

from typing import Final

from installer.stages.graph import Graph, Stage

INSTALL: Final = Graph(
    "install",
    (
        Stage(name="facts", playbook="install-facts.yml", always=True),
        Stage(name="certificates", playbook="install-certificates.yml"),
        Stage(
            name="repository",
            playbook="install-repository.yml",
            needs=("certificates",),
            interrupts=("repository",),
        ),
        Stage(name="base", playbook="install-base.yml", needs=("repository",)),
        Stage(name="etcd", playbook="install-etcd.yml", needs=("base",), interrupts=("etcd",)),
        Stage(name="database", playbook="install-database.yml", needs=("etcd",), interrupts=("postgresql",)),
        Stage(name="cache", playbook="install-cache.yml", needs=("base",), interrupts=("redis",)),
        Stage(name="broker", playbook="install-broker.yml", needs=("base",), interrupts=("rabbitmq",)),
        Stage(name="engine", playbook="install-engine.yml", needs=("database",), interrupts=("engine",)),
        Stage(name="gateway", playbook="install-gateway.yml", needs=("base",), interrupts=("gateway",)),
        Stage(name="models", playbook="install-models.yml", needs=("engine", "gateway")),
        Stage(
            name="worker",
            playbook="install-worker.yml",
            needs=("models", "cache", "broker"),
            interrupts=("worker",),
        ),
    ),
)
