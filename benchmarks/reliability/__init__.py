"""A run of continuous requests for playback URLs through outages, and what their callers see."""
