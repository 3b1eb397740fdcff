"""Measurements, apart from the ordinary run: `python -m tests.bench` prints ratios.

Each ratio compares two things in one run on one machine, with its inputs beside it; absolute
times mean nothing here.
"""
