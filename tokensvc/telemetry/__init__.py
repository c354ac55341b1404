"""Logs and metrics: they observe at the joints, and nothing below knows them."""
