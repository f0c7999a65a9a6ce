"""The command line. Exit codes: 0 done, 2 the input is wrong, 3 the study is incomplete, 1 anything else.

Verbs import what they need inside of their functions. With numpy or torch at the top of a file,
`study --help` would take seconds.
"""

from study.cli.command import main

__all__ = ["main"]
