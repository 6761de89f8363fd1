"""Coverage-guided fuzzing of everything that reads files from strangers; see README.md in this folder."""
