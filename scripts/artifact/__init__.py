"""Artifacts: pack a version of the sample service or of any other service, and check an artifact.

What an artifact must be is decided in components/artifact.py and components/manifest.py, which are pure Python; this
package imports them (scripts may import shared pure code of components, components never import scripts), so that
whatever is packed here is what the program accepts.
"""
