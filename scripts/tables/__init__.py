"""The data part of a release, run on the control host: two tables that live at once, and how one comes from the other.

Everything here reads what is there, decides, then changes only what differs, so that it can be killed at any point and
run again. The plan («data document») comes from the deployer; nothing here decides what a release changes.

    __main__    verbs, JSON in and out
    errors      refusals and misuse
    request     the data document, checked, as frozen dataclasses
    structure   what tables there are; making and dropping the new ones
    counting    how many rows they have, or about how many
    mirroring   the trigger that keeps the two tables equal: on, off, tried
    wire        a session that hands values over as the bytes they travel in
    cells       rows as cells with their write times and TTLs, read by token range
    ranges      the ring cut into ranges
    progress    which ranges are done, in SQLite beside the journal
    job         long work as a systemd unit: start, state, stop
    backfill    copies the rows that were there before the mirror
    pace        how fast it may go: users first
    compare     holds two tables against each other
    scan        makes one what the other is, where no mirror does and writes wait
    strays      what one has beyond the other, and how it is taken back
    estimate    how long such a scan takes
    sstables    whether whole files can be taken over instead
    external    the same copy by Spark or DSBulk, where one host is not enough
    migrator    whether the one by Spark left anything out

Needs the standard library and cassandra-driver only.
"""
