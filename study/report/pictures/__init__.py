"""Pictures by matplotlib: what they show as numbers, in files of their own, and the drawing."""
