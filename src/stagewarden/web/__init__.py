"""Serving HTTP: the doors. They call the gate and decide nothing."""
