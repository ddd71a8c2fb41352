"""Pure functions from what a host has to what its services are given."""
