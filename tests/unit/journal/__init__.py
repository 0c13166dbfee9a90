"""The journal: promises of `scripts.journal`."""
