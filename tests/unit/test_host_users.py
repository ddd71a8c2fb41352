"""Users and their groups, judged on this very machine; nothing is made here, the role's scenario makes some."""

from __future__ import annotations

import grp
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import host_users

MODULE = Path(host_users.__file__)
MISSING = "sw-no-such-user"


def judged(*users: dict[str, Any]) -> dict[str, Any]:
    """The module's answer in check mode."""
    arguments = {"ANSIBLE_MODULE_ARGS": {"users": list(users), "_ansible_check_mode": True}}
    ended = subprocess.run(
        [sys.executable, MODULE], input=json.dumps(arguments), capture_output=True, text=True, check=False
    )
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


@pytest.fixture
def me() -> pwd.struct_passwd:
    return pwd.getpwuid(os.getuid())


def test_a_missing_user_is_told_with_its_groups_though_these_are_missing_too() -> None:
    answer = judged({"name": MISSING, "groups": ["sw-no-such-group"]})
    assert answer["changed"]
    assert answer["plan"]["changes"] == [{"kind": "login", "name": MISSING, "note": "new, in sw-no-such-group"}]


def test_a_user_its_package_has_not_made_yet_is_no_failure_of_the_check() -> None:
    answer = judged({"name": MISSING, "groups": ["sw-tls"], "made_by_package": True})
    assert answer["plan"]["changes"][0]["note"] == "to be in sw-tls"


def test_a_user_as_it_should_be_is_left_alone(me: pwd.struct_passwd) -> None:
    own = grp.getgrgid(me.pw_gid).gr_name
    answer = judged({"name": me.pw_name, "groups": [own], "shell": me.pw_shell})
    assert (answer["changed"], answer["done"]) == (False, [])


def test_what_a_user_lacks_is_named(me: pwd.struct_passwd) -> None:
    answer = judged({"name": me.pw_name, "groups": ["sw-tls"], "shell": "/bin/other"})
    assert answer["plan"]["changes"][0]["note"] == f"added to sw-tls; shell {me.pw_shell} -> /bin/other"


def test_a_package_s_own_user_keeps_its_shell(me: pwd.struct_passwd) -> None:
    assert not judged({"name": me.pw_name, "made_by_package": True})["changed"]


def test_a_new_user_has_no_password_and_a_name_that_looks_like_an_option_is_none() -> None:
    user = {"name": "-x", "shell": "/bin/bash", "comment": "", "system": True, "home": None, "create_home": False}
    argv = host_users.creation({**user, "skeleton": None, "groups": ["a", "b"]})
    assert argv == ["useradd", "--shell", "/bin/bash", "--system", "--no-create-home", "--groups", "a,b", "--", "-x"]


def test_a_locked_password_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shadow = tmp_path / "shadow"
    shadow.write_text("open:$y$j9T$abc:1::::::\nlocked:!$y$j9T$abc:1::::::\nnever:*:1::::::\n")
    monkeypatch.setattr(host_users, "SHADOW", shadow)
    assert [host_users.is_locked(name) for name in ("open", "locked", "never")] == [False, True, True]
