"""Compare servers that sign playback URLs: `make bench`, or `python -m benchmarks.serving`."""
