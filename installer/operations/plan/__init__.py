"""`plan`: what an operation would change."""
