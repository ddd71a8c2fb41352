"""How long things take; run by hand and by the long tests."""
