"""`bundle build|verify|inspect|diff`."""
