"""The command line interface, `tokensvc`."""
