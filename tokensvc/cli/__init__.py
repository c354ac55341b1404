"""The command line: `tokensvc`."""
