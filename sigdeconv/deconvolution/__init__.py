"""Undoing a known blur: one module for each model of the world."""
