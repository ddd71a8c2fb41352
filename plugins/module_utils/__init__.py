"""What modules share."""
