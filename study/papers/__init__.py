"""What papers printed, and whether a study agrees with it."""
