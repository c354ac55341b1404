"""Logging and metrics. No package below this one depends on it."""
