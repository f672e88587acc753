"""Bytes: request targets, headers, strict JSON and forms, the upstream connection. Knows HTTP; must never know a policy."""
