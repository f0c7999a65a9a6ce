"""Papers' numbers beside a study's, as JSON and as tables of a terminal: one file per kind of table."""
