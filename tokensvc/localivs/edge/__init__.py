"""The playback edge: what stands between a player and the video.

`verifier` judges a token, `origins` a page, `sessions` remembers who was let in and `revocations`
who was thrown out, `refusals` says why, `playlists` and `segments` make the endless stream, and
`blueprint` puts them behind IVS's URLs.
"""
