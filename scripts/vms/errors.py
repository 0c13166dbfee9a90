"""What can go wrong with hypervisors and machines, as one sentence for the user."""


class VmError(Exception):
    """Something about a hypervisor or a machine; the message is one sentence that names the thing and the remedy."""
