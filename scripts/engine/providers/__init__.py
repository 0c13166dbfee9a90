"""What pulumi-command 1.2.1 does, for the resource types that the program uses.

`command:local:Command`, `command:remote:Command` and the invoke `command:local:run`; behaviour follows that provider's
sources (create, update, delete, previous output, error texts, connection defaults and retries).
"""
