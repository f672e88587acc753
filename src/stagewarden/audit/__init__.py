"""The log: hash-chained, append-only, durable before effect (design: audit.md). Only the gate appends to it."""
