"""`attach` inside of training frameworks that the package does not need: `make frameworks`.

Each framework trains the same small model on the same batches as a plain loop, with the same transform, and
has to end with the same bits. A framework that is not installed is a failure, not a skip.
"""
