"""Amazon IVS, as the service uses it over boto3: channels, playback key pairs, viewer sessions."""
