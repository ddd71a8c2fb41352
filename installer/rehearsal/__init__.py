"""Throwaway systemd hosts for a site, in a network without a way out."""

from installer.rehearsal.access import exec_on, run_inside
from installer.rehearsal.hosts import cut_power, power_off
from installer.rehearsal.lifecycle import (
    boot,
    down,
    list_rehearsals,
    up,
)
from installer.rehearsal.model import Rehearsal, RehearsalSpec

__all__ = [
    "Rehearsal",
    "RehearsalSpec",
    "boot",
    "cut_power",
    "down",
    "exec_on",
    "list_rehearsals",
    "power_off",
    "run_inside",
    "up",
]
