"""What the user writes: a study as a validated YAML file, and code of the user's own."""
