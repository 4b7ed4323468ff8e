"""Comparisons with their figures and tables, one a file; ``python -m experiments`` runs them and writes a report."""
