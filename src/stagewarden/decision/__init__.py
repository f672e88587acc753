"""Judging: one question to the policy, one verdict parsed strictly, by Wasm in process or by an OPA server.

Never turns an error into a verdict: what is not understood raises PolicyUnavailable, and the gate answers no.
"""
