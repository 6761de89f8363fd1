"""Measuring super-resolution so that others can trust the figures: data, protocol, runs and reports."""
