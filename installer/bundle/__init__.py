"""The bundle: one signed folder with all that a site needs, so that its hosts need no internet."""

from __future__ import annotations

from installer.bundle.build import build
from installer.bundle.difference import diff
from installer.bundle.manifest import Manifest
from installer.bundle.verify import inspect, verify

__all__ = ["Manifest", "build", "diff", "inspect", "verify"]
