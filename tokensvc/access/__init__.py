"""Who asks and what they may ask for: callers, API keys, grants, viewers."""
