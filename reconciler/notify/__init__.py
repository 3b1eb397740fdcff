"""The sinks: places that are told what happened. Each takes a message of the outbox and tries once.

When to try again, and when to give up, is the outbox's business (`ports/messages.py`).
"""
