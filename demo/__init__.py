"""The example application: a small backend that gets playback URLs from tokensvc, and its page."""
