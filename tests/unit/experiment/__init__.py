"""The experiment: promises of `scripts.experiment`."""
