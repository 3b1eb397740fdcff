"""The way in and out: gateway, faults, control side, server."""
