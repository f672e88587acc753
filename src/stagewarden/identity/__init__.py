"""Who asks: agents by key or JWT (agents.py), people by password, token and session (people.py).

Answers who somebody is and what proves it; never what they may do to a hold (holds, policy) and never a verdict.
"""
