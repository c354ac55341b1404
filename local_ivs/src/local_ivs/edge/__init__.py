"""The playback edge of Local IVS: it verifies playback tokens and serves HLS playlists and video.

`verifier` checks tokens and `origins` checks the Origin header. `sessions` stores playback sessions
and `revocations` stores revoked viewers. `refusals` defines the errors that players receive.
`playlists` and `segments` generate the endless stream. `blueprint` serves all of it at IVS's URLs.
"""
