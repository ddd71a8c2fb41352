"""The bundle an operation works from, looked at whole before anything of it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.bundle.build import keys_folder
from installer.bundle.checkout import require_fit
from installer.bundle.trust import trusted_folder
from installer.bundle.verify import verify

if TYPE_CHECKING:
    from installer.bundle import Manifest
    from installer.operations.context import SiteContext


def verify_bundle(context: SiteContext) -> Manifest:
    """Refuse a bundle that is not what its publisher signed, or does not go with this checkout.

    Raises:
        BundleError: Naming the file that is wrong, or what differs.
    """
    manifest = verify(
        context.bundle,
        trusted=trusted_folder(keys_folder(context.paths)),
        report=context.terminal.say,
        key=context.request.bundle_key,
    )
    require_fit(context.bundle, manifest, context.paths.root, context.manifests)
    return manifest
