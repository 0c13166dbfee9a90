"""Load on a running service, and what came of it: every request judged by status and body, none sent twice unseen.

`attack` drives vegeta where it runs, `place` is where that is, `figures` reads what came of it, `retries` finds in the
load balancers' logs what a client has sent twice. `targets` and `results` run on the test runner by themselves, and
`retry_log` on load balancers: standard library only.
"""
