"""May this caller give this viewer this channel, and what is the signed playback URL?"""
