"""Prepares the ring for the service: roles, keyspace, tables, seed rows. Runs on the control host.

Everything here reads what is there, decides, then changes only what differs, so that it can be killed at any point and
run again. It never uses a conditional write (LWT) on a table of the service: a later mirror could not follow it.

    __main__    commands, JSON in and out
    request     what is asked for, checked
    connection  logins, waiting for the ring, statements that change the schema
    schema      keyspaces and tables
    roles       who may do what
    spread      brings replicas level after a change of replication
    estimates   how large tables are, by the nodes' own word
    notes       what was finished earlier, kept in the database itself
    seed        the rows a new database starts with
    prepare     all of it in order
    status      the ring as it is now

Needs the standard library and cassandra-driver only.
"""
