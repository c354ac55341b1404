"""The command `tokensvc demo`: run Local IVS and the service with a private channel that plays."""
