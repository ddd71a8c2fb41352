"""A site looked over by programs that are not ours, carried by the bundle: nothing is installed, nothing changed."""
