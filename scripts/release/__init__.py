"""Puts application versions onto running machines."""
