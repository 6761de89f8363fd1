"""What `tests/stress/run.py` is made of: one module a section, each with `run(section)`."""
