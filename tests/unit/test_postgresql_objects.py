"""Passwords are compared with what PostgreSQL keeps of them."""

from __future__ import annotations

from plugins.modules.postgresql_objects import make_verifier, verifies

# RFC 7677, section 3: user "user", password "pencil".
RFC_7677 = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
    "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def test_the_example_of_the_rfc_verifies() -> None:
    assert verifies("pencil", RFC_7677)


def test_another_password_does_not() -> None:
    assert not verifies("pencils", RFC_7677)


def test_what_we_make_verifies_and_is_never_the_same_twice() -> None:
    verifiers = {make_verifier("pencil") for _ in range(3)}
    assert len(verifiers) == 3
    assert all(verifies("pencil", verifier) for verifier in verifiers)


def test_no_password_or_an_old_hash_is_not_taken_for_ours() -> None:
    assert not verifies("pencil", None)
    assert not verifies("pencil", "md5b9d11b3be25f5a1a7dc8ca04cd310b28")
    assert not verifies("pencil", "SCRAM-SHA-256$4096:!$!:!")
