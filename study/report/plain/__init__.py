"""Everything that is printed or exported as JSON: facts as plain values, with units, n and intervals."""
