"""End rehearsals without the command line: `python -m installer.rehearsal.cleanup --all | --tests | SITE...`.

`--all` are those of this checkout; `--tests` only those that unit tests keep below folders of their own in its state.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from installer.controller.paths import Paths
from installer.errors import InstallerError
from installer.rehearsal.lifecycle import down, list_rehearsals


def main(words: list[str]) -> int:
    """End the rehearsals meant; the exit code of the worst one."""
    paths = Paths.from_environment()
    if words in (["--all"], ["--tests"]):
        mine, usual = paths.state.resolve(), paths.rehearsals.resolve()
        rehearsals = [
            (state.site, replace(paths, state=state.folder.parents[1]))
            for state in list_rehearsals(paths)
            if state.folder.is_relative_to(mine) and (words == ["--all"] or state.folder.parent != usual)
        ]
    else:
        rehearsals = [(site, paths) for site in words]
    worst = 0
    for site, where in rehearsals:
        try:
            down(site, where, _say)
        except InstallerError as error:
            _say(error.message)
            _say(error.hint)
            worst = max(worst, error.exit_code)
    return worst


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
