"""Checks that no write was lost: what clients were told is held against what the tables hold afterwards.

In the manner of Jepsen's set and register checkers, for rows of cells with write times:

    history  operations from a log of invocations and completions
    cells    what a cell may hold after a history: the rules
    verdict  what was lost, resurrected or invented, by key
    judge    a history and final states -> verdict
    client   the program that writes, updates and deletes through the load balancers, and logs it (test runner)
    state    reads and prepares tables through CQL (control host)

history, cells, verdict and judge are pure; client.py needs the standard library only and is one file, because it is
sent to the test runner by itself.
"""
