"""Many files: which image becomes which file, and the runs over them, on one machine or on a Ray cluster."""
