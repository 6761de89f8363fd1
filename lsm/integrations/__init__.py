"""Adapters to other programs that load networks; each imports its program only when it is called."""
