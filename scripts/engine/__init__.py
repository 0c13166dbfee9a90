"""The embedded engine: runs the Pulumi program where no Pulumi CLI is on PATH.

It hosts the unmodified program over the SDK's own gRPC protocol, decides and performs the steps that the CLI would,
and keeps its state in the CLI's own file-backend format, so that either can carry on where the other stopped.
See docs/engine.md.
"""

VERSION = "3.272.0"
"""The Pulumi version whose behaviour and formats this engine follows (the pinned SDK's)."""
