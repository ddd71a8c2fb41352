"""What runs on the controller for a module: more than one trip to the host."""
