"""Artifacts and the sample service: promises of docs/application.md."""
