"""Running playbooks: the runner, its events, the guard of its processes and what a killed run leaves."""
