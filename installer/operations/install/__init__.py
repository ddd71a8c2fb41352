"""`./install` without a verb: bring a site to what its inventory and the bundle say, and verify it."""
