"""The people's listener: the JSON API (api.py) and, beside it, the console (web/console). Built by listener.py.

Doors call the gate; they authenticate, bound and parse, and decide nothing.
"""
