"""The webhook of the control host: signed requests come in, signed notifications go out.

Runs there as evenkeel-webhook.service (`python3 -m scripts.webhook`), with Python's standard library only.
`signature` is what both directions share; `server` speaks HTTP, `guard` decides who is let in, `actions` does what a
request asks, `notifier` follows the journal and tells the configured URLs. Neither direction ever waits for the other.
"""
