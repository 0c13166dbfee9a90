"""Makes the stack's certificate authority and its hosts' certificates.

Run by Pulumi as create commands, so that private keys live in the stack's state, encrypted, and nowhere else.
"""
