"""Authentication and authorization: callers, API keys, grants, viewers."""
