"""What an operation would change and interrupt: made of what the modules say in check mode; pure, prints nothing."""

from installer.planning.model import Change, Interruption, Plan

__all__ = ["Change", "Interruption", "Plan"]
