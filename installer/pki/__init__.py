"""A site's certificates: the private authority, the hospital's own, and what each host needs."""

from installer.manifests.certificates import Wanted, certificates_wanted
from installer.pki.authority import (
    CERTIFICATE_FILE,
    Authority,
    AuthorityError,
    authority_folder,
    change_passphrase,
    ensure_authority,
    open_authority,
    valid_from,
)
from installer.pki.client import issue_client
from installer.pki.custom import AUTHORITY_FILE, read_custom

__all__ = [
    "AUTHORITY_FILE",
    "CERTIFICATE_FILE",
    "Authority",
    "AuthorityError",
    "Wanted",
    "authority_folder",
    "certificates_wanted",
    "change_passphrase",
    "ensure_authority",
    "issue_client",
    "open_authority",
    "read_custom",
    "valid_from",
]
