"""`status`: what runs now."""
