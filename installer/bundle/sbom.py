"""The bundle's bill of materials in CycloneDX: Debian packages, wheels, Maven jars, npm packages."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component as BomComponent
from cyclonedx.model.component import ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from installer.bundle.components import Component
    from installer.bundle.manifest import FileEntry, PackageEntry, WheelEntry

_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "bundle.sitewright")


def write_sbom(
    *,
    packages: Iterable[PackageEntry],
    wheels: Iterable[WheelEntry],
    components: Iterable[Component],
    files: Mapping[str, FileEntry],
    inputs: str,
    moment: datetime,
) -> bytes:
    """The bill of materials as JSON, the same for the same inputs."""
    parts = [
        *(_package(entry, files[entry.file].sha256) for entry in packages),
        *(_wheel(entry, files[entry.file].sha256) for entry in wheels),
        *(_component(component) for component in sorted(set(components))),
    ]
    bundle = BomComponent(name="sitewright-bundle", type=ComponentType.PLATFORM, bom_ref="bundle")
    bom = Bom(components=parts, serial_number=uuid.uuid5(_NAMESPACE, inputs), version=1)
    bom.metadata.timestamp = moment
    bom.metadata.component = bundle
    bom.register_dependency(bundle, parts)
    return (JsonV1Dot6(bom).output_as_string(indent=1) + "\n").encode()


def _package(entry: PackageEntry, sha256: str) -> BomComponent:
    vendor = entry.origin.lower()
    url = PackageURL("deb", vendor, entry.name, entry.version, qualifiers={"arch": entry.architecture})
    return _part(url, sha256)


def _wheel(entry: WheelEntry, sha256: str) -> BomComponent:
    return _part(PackageURL("pypi", None, entry.name, entry.version), sha256)


def _component(component: Component) -> BomComponent:
    url = PackageURL(component.kind, component.group or None, component.name, component.version)
    return _part(url, component.sha256)


def _part(url: PackageURL, sha256: str) -> BomComponent:
    reference = f"{url}#{sha256[:16]}" if sha256 else str(url)  # one jar may occur in two builds
    return BomComponent(
        name=url.name,
        version=url.version,
        group=url.namespace,
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=reference,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else [],
    )
