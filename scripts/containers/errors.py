"""What can go wrong with containers, as one sentence for the user."""


class ContainerError(Exception):
    """A step with podman could not be done; the message names the thing, what was wrong, and what to do."""
