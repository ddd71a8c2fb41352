"""What a manifest may say; apart from reading it, because pydantic takes its time to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from installer.documents.schema import refusal, validate
from installer.manifests import AuthorityName, ExtraName, Protocol, Rotation, StartTls, Usage

if TYPE_CHECKING:
    from installer.documents import Document

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Package = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.:-]+$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/.+[^/]$")]
# A path, or the role variable that holds it.
Directory = Annotated[str, StringConstraints(pattern=r"^(/.+[^/]|[a-z][a-z0-9_]*)$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Secret(_Strict):
    length: int = Field(ge=8, le=256)
    rotation: Rotation
    reason: str = ""

    @model_validator(mode="after")
    def _reasoned(self) -> _Secret:
        if self.rotation == "kept" and not self.reason:
            raise refusal("is not rotated and has no reason", "say why in reason:")
        return self


class _Certificate(_Strict):
    usages: list[Usage] = Field(min_length=1)
    names: list[ExtraName] = []
    authority: AuthorityName = "site"


class _Port(_Strict):
    port: Annotated[int, Field(ge=1, le=65535)] | Name
    protocol: Protocol = "tcp"
    purpose: str = Field(min_length=1)
    sources: list[str] = Field(alias="from", min_length=1)
    tls: Literal["1.3", "none"]
    reason: str = ""
    starttls: StartTls | None = None
    server_name: ExtraName | None = None
    authority: AuthorityName = "site"

    @field_validator("tls", mode="before")
    @classmethod
    def _quoted(cls, value: object) -> object:
        if isinstance(value, float):
            raise refusal(f"is the number {value}", f'write it as text: "{value}"')
        return value

    @model_validator(mode="after")
    def _reasoned(self) -> _Port:
        if self.tls == "none" and not self.reason:
            raise refusal("has no TLS and no reason", "say why in reason:")
        return self


class _Destination(_Strict):
    servers: Name
    port: Name
    purpose: str = Field(min_length=1)


class _Manifest(_Strict):
    group: Name
    packages: list[Package] = []
    early_files: dict[AbsolutePath, str] = {}
    secrets: dict[Name, _Secret] = {}
    certificates: dict[Name, _Certificate] = {}
    ports: list[_Port] = []
    destinations: list[_Destination] = []
    entered_secrets: dict[Name, Name] = {}
    data_directories: list[Directory] = []
    fsync_directories: list[Directory] = []
    shared: list[Name] = []
    shared_by_host: list[Name] = []
    overridable: list[Name] = []


def check(document: Document) -> None:
    """Refuse a manifest that is not what a manifest may be.

    Raises:
        DocumentError: With everything that is wrong.
    """
    validate(_Manifest, document)
