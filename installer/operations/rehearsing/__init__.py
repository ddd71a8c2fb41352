"""Throwaway hosts: `rehearse up|down|list|exec|run`, and the way into their network for every other verb."""
