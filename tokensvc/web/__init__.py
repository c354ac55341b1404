"""The HTTP API and the player page."""
