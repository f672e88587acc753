"""Server-rendered pages for people: reading, voting, stopping, all without script.

They call the gate and decide nothing; no page holds inline code or style.
"""
