"""Makes the stack's keys: SSH key pairs and shared secrets.

Run by Pulumi as a resource's create command, so that keys live in the stack's state (encrypted) and nowhere else.
"""
