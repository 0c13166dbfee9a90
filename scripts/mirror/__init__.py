"""The mirror's program for Cassandra: built from mirror/ on the deployer's machine, installed on database nodes.

__main__    commands, JSON in and out
build       the jar: compiled against the image's own Cassandra, the same bytes from the same classes
install     onto one node, before it serves
errors      what can go wrong, in sentences
"""
