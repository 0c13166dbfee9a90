"""The experiment: releases under load, beside the same load without one, and what users noticed of them.

docs/experiment.md has the method and how to run it (`evenkeel experiment`). The pieces that make the runs:

    load/      the load: requests, vegeta on the test runner, every answer judged; the tests' harness, too
    service    a user's own service, from a TOML file
    plan       settings -> the runs, in a random order by blocks
    folder     what is kept of an experiment: experiment.json, and a folder a run
    deployer   `pulumi up` and the stack's config
    capacity   how many application servers serve, as the load balancers have it
    one_run    load and release of one run -> its folder
    knee       how many requests a second this machine carries
    soak       memory and disk over many releases
    writes     clients whose every write is followed up
    conduct    all of it, to be gone on with after an interruption
    progress   what goes on and how much time is left, for a person
    closing    what it came to, in a few sentences

machine says what it ran on; capacity_watch and host_usage run on hosts by themselves, and need nothing there.

What is made of the runs afterwards: reduce, statistics, report, pictures; and thesis, the numbers to compare with.
"""
