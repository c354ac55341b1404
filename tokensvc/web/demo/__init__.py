"""The player page `/demo`: a private channel, its token explained, and what IVS refuses.

It stands in for an application developer's own page and backend. Registered in demo mode only.
"""
