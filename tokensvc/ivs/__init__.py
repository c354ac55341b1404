"""Amazon IVS over boto3: channels, playback key pairs and viewer sessions."""
