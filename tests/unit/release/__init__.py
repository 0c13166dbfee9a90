"""Promises of a release's pieces that need no machine."""
