"""Amazon IVS, as the service uses it: channels and playback key pairs, over boto3."""
