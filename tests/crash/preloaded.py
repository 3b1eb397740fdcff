"""What every killed process would load for itself: loaded once, before they are forked."""

import asyncio

import pytest  # noqa: F401
import sqlalchemy

import tests.crash.child  # noqa: F401

with sqlalchemy.create_engine("sqlite://").connect():
    pass
asyncio.run(asyncio.sleep(0))
