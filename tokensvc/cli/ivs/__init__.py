"""`tokensvc channels`, `stream-keys`, `streams` and `tags`: the resources of Amazon IVS."""
