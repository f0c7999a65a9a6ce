"""The containers of `docker/`, brought up for real: `make cluster`."""
