"""Hosts as virtual machines of libvirt, as far as pulumi-libvirt does not see to them.

Called by the Pulumi program (`components/libvirt.py`) with JSON on standard input: whether a hypervisor answers and is
fit, waiting until a machine answers, and its orderly stop. Called by make: `mend`, which brings libvirt and the state
together again after a kill or a loss, and `purge`. Hypervisors are asked with `virsh`.
"""
