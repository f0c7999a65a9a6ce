"""Everything that commands print for people: tables, and lines of words."""
