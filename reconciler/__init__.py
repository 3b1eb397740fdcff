"""Watches Alma for consortial lends, records what happened, and does Alma's side of the lending."""

__version__ = "0.1.0"
