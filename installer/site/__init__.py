"""The site: what the operator wrote, read once, checked, and handed on complete."""

from installer.site.load import load_site
from installer.site.model import GROUPS, Setting, Site

__all__ = ["GROUPS", "Setting", "Site", "load_site"]
