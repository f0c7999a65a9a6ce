"""Which cells a study has, which of them are missing, and what a launch would train."""
