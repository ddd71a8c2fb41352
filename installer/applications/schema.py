"""The form of an `application.yml`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from installer.documents.schema import refusal, validate

if TYPE_CHECKING:
    from installer.documents import Document

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Package = Annotated[str, StringConstraints(pattern=r"^sitewright-[a-z0-9.+-]+$")]
# What becomes part of a configuration line, an ACL or a URL: no blank, quote or control character.
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:*#/-]{0,254}$")]
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]*[A-Za-z0-9]$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Process(_Strict):
    """Programs of the application that run on the hosts of a group.

    Attributes:
        payload: Package with the program.
        runtime: What runs it; so far `node`, an external-task worker of the engine in Node.js.
        group: Inventory group whose hosts run it.
        instances: Processes of the whole site, dealt out over the group's hosts.
        memory_mb: Memory of one instance in MB.
        topics: External-task topics every instance works on.
        exchange: Exchange of the broker it publishes to.
        settings: What only the program itself understands.
    """

    payload: Package
    runtime: Literal["node"]
    group: Literal["worker"]
    instances: int = Field(ge=1, le=1000)
    memory_mb: int = Field(ge=64, le=65536)
    topics: list[Word] = Field(min_length=1)
    exchange: Word
    settings: dict[str, int | str | bool] = {}


class Models(_Strict):
    """Process models, deployed to the engine as one set under the application's name."""

    payload: Package
    directory: AbsolutePath


class Engine(_Strict):
    """What the application has in the engine: the keys of its process definitions."""

    processes: list[Word] = []


class Exchange(_Strict):
    """A durable exchange."""

    name: Word
    type: Literal["topic", "direct", "fanout", "headers"] = "topic"


class Queue(_Strict):
    """A durable quorum queue."""

    name: Word
    arguments: dict[str, int | str | bool] = {}


class Binding(_Strict):
    """Which messages of an exchange go to which queue."""

    exchange: Word
    queue: Word
    routing_key: Word


class Broker(_Strict):
    """What the application needs of the message broker."""

    exchanges: list[Exchange] = []
    queues: list[Queue] = []
    bindings: list[Binding] = []

    @model_validator(mode="after")
    def _bound_to_what_is_there(self) -> Broker:
        exchanges, queues = {each.name for each in self.exchanges}, {each.name for each in self.queues}
        for binding in self.bindings:
            if binding.exchange not in exchanges:
                raise refusal(f"binds the exchange {binding.exchange}", f"declared: {', '.join(sorted(exchanges))}")
            if binding.queue not in queues:
                raise refusal(f"binds the queue {binding.queue}", f"declared: {', '.join(sorted(queues))}")
        return self


class Cache(_Strict):
    """Which keys and channels of the cache belong to the application."""

    keys: Word


class Variable(_Strict):
    """A variable of the instances that prove the site; exactly one of `text`, `number`, `cycle` says its value.

    Attributes:
        type: The engine's name of the type.
        text: Text in which `{run}` is this proof's own word and `{number}` the instance's number.
        number: A whole number, to which the instance's number is added.
        cycle: Values that the instances take in turn.
        modulo: With it, `{number}` begins again at 0 after that many instances.
    """

    type: Literal["String", "Integer", "Boolean"]
    text: Line | None = None
    number: int | None = None
    cycle: list[str | int | bool] | None = Field(default=None, min_length=1)
    modulo: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_value(self) -> Variable:
        given = [name for name in ("text", "number", "cycle") if getattr(self, name) is not None]
        if len(given) != 1:
            raise refusal(f"says {' and '.join(given) or 'no value'}", "write one of text, number and cycle")
        if self.text is not None:
            try:
                self.text.format(run="run", number=0)
            except (KeyError, IndexError, ValueError, AttributeError) as error:
                raise refusal(f"has the text {self.text!r} ({error})", "only {run} and {number} are known") from error
        return self


class Proof(_Strict):
    """How `verify` proves the application from the user's side.

    Attributes:
        start: Process definition that is started through the gateway.
        times: How many instances.
        variables: What each of them is given.
        finished_within_seconds: How long all of them may take.
        queues: Messages one instance adds to a queue, by queue.
        cache: Keys that must be in the cache afterwards, at least, by pattern.
    """

    start: Word
    times: int = Field(ge=1, le=10_000)
    variables: dict[Word, Variable] = {}
    finished_within_seconds: int = Field(ge=1, le=3600)
    queues: dict[Word, int] = {}
    cache: dict[Word, int] = {}


class Application(_Strict):
    """One application, as its file describes it."""

    application: Name
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    description: Line
    processes: dict[Name, Process] = {}
    models: Models | None = None
    engine: Engine = Engine()
    broker: Broker = Broker()
    cache: Cache | None = None
    proof: Proof | None = None

    @model_validator(mode="after")
    def _proof_uses_what_is_there(self) -> Application:
        if self.proof is None:
            return self
        if self.proof.start not in self.engine.processes:
            fix = f"name one of engine.processes: {', '.join(self.engine.processes)}"
            raise refusal(f"proves itself by {self.proof.start}", fix)
        unknown = self.proof.queues.keys() - {queue.name for queue in self.broker.queues}
        if unknown:
            raise refusal(f"proves itself by the queue {min(unknown)}", "name a queue of broker.queues")
        return self

    @property
    def payloads(self) -> tuple[str, ...]:
        """Packages of the application, which the bundle builds."""
        models = (self.models.payload,) if self.models is not None else ()
        return (*(process.payload for process in self.processes.values()), *models)

    def resolved(self) -> dict[str, Any]:
        """The application as plain data for the playbooks; without a secret."""
        return self.model_dump(mode="json", exclude={"application"})


def check(document: Document) -> Application:
    """Refuse a description that is not what an application may say.

    Raises:
        DocumentError: With everything that is wrong.
    """
    return validate(Application, document)
