"""State: what all processes of a deployment share (rings, API keys, bans, channel answers)."""
