"""`tokensvc demo`: Local IVS and the service, with a private channel that plays, in one command."""
