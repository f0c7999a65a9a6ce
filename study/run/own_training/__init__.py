"""Training of the user's own: one cell is one process, which reports to a file."""
