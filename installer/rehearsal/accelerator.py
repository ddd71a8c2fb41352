"""How virtual machines run on this machine: by its processor, or emulated in software where that does not work.

`/dev/kvm` says little: on a machine that is itself virtual it may open, take a machine and never run it. So a kernel is
booted, once per boot of this machine, and has to say something.
"""

from __future__ import annotations

import subprocess
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.errors import ConfigurationError
from installer.rehearsal.tools import clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

QEMU: Final = "qemu-system-x86_64"
_KVM: Final = Path("/dev/kvm")
# Forgotten at reboot, when another kernel or another hypervisor may be there.
_VERDICT: Final = Path("/run/sitewright/accelerator")
_TRIAL_SECONDS: Final = 10.0
_SIGN_OF_LIFE: Final = "Linux version"


class Accelerator(Enum):
    """What runs a virtual machine's instructions."""

    KVM = "kvm"
    TCG = "tcg"

    @property
    def arguments(self) -> tuple[str, ...]:
        """What QEMU is told."""
        if self is Accelerator.KVM:
            return ("-accel", "kvm", "-cpu", "host")
        return ("-accel", "tcg,thread=multi", "-cpu", "max")


def accelerator(kernel: Path, say: Callable[[str], None], *, verdict: Path = _VERDICT) -> Accelerator:
    """What works here; tried out with this kernel when this machine has not tried it since its boot.

    Args:
        kernel: The kernel to try it with.
        say: Told of what was found and why, when it is found.
        verdict: The file that keeps what was found.
    """
    try:
        return Accelerator(verdict.read_text(encoding="ascii").strip())
    except (FileNotFoundError, ValueError):
        pass  # not tried yet, or the writer was killed half way
    problem = why_not(trial_argv(kernel)) if _KVM.exists() else f"there is no {_KVM}"
    if problem:
        say(f"virtual machines are emulated in software, ten to thirty times slower: {problem}")
    else:
        say("virtual machines run on this machine's processor: a kernel was booted by it")
    chosen = Accelerator.TCG if problem else Accelerator.KVM
    verdict.parent.mkdir(parents=True, exist_ok=True)
    verdict.write_text(f"{chosen.value}\n", encoding="ascii")
    return chosen


def trial_argv(kernel: Path) -> list[str]:
    """A machine that can do nothing but say that its kernel began, fail for want of a disk, and end."""
    return [
        *(QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-machine", "q35", *Accelerator.KVM.arguments, "-m", "256"),
        *("-kernel", str(kernel), "-append", "console=ttyS0 earlyprintk=serial panic=-1"),
    ]


def why_not(argv: Sequence[str], *, seconds: float = _TRIAL_SECONDS) -> str:
    """Try a machine; what is wrong with it, empty when its kernel spoke."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the arguments are ours
            argv, check=False, capture_output=True, stdin=subprocess.DEVNULL, env=clean_environment(), timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        if _SIGN_OF_LIFE in _text(error.stdout):
            return ""
        return f"{_KVM} takes a machine, and its kernel says nothing within {seconds:.0f} s"
    if _SIGN_OF_LIFE in _text(done.stdout):
        return ""
    complaints = _text(done.stderr).strip().splitlines()
    return complaints[-1] if complaints else f"a machine of {_KVM} ends with {done.returncode} and says nothing"


def kernel_of(image: Path) -> Path:
    """The kernel of a base image.

    Raises:
        ConfigurationError: If it has none.
    """
    kernels = sorted(image.glob("boot/vmlinuz-*"))
    if not kernels:
        raise ConfigurationError(
            f"the base image {image.resolve()} has no kernel",
            hint="remove that folder; the next run builds it anew",
        )
    return kernels[-1]


def _text(output: bytes | None) -> str:
    return (output or b"").decode(errors="replace")
