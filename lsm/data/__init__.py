"""Feeding training and benchmark: sets downloaded, prepared, and checked (how they look: benchmark/datasets.py)."""
