"""The site: what the operator wrote, read once, checked, and handed on complete."""

from installer.services import GroupRule
from installer.site.load import load_site
from installer.site.model import GROUPS, Host, Setting, Site, Waiver

__all__ = ["GROUPS", "GroupRule", "Host", "Setting", "Site", "Waiver", "load_site"]
