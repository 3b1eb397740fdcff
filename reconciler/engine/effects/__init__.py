"""Carrying effects out: ensure verbs, each looked at before it is done and after."""
