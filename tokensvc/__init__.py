"""Playback authorization for Amazon IVS private channels."""
