"""Servers that stand in for real upstreams, and misbehave when told to.

The demo, the examples and the tests talk to them; the sidecar's own calls never
meet this code. Nothing here is on the data path, so comfort comes first (aiohttp).
"""
