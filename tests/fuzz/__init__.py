"""Fuzz harnesses: each reads bytes as the product does, and asks other readers whether they read the same."""
