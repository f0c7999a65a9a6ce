"""Training: tiles sent to workers, records stored, and the result shown."""
