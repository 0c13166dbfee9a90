"""The journal on the control host: releases, their verdicts and signals, the lock, the hold, requests and events.

Runs there as `python3 -m scripts.journal VERB` (`__main__`), and is a library for services of that host: `store.Store`.
`transaction` is one change of the database, `schema` its tables; the verbs are in the files named after what they are
about: `releases`, `lock`, `signals`, `hold`, `requests`, `events`. Standard library only.
"""
