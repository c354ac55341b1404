"""The player page `/demo`: it plays a private channel, explains the token, and shows refusals.

It is an example of an application developer's own page and backend. It exists in demo mode only.
"""
