"""The state that all processes of a deployment share, such as rings and API keys."""
