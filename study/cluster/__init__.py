"""A study on a Ray cluster elsewhere: sent there, followed, stopped, asked and brought back."""
