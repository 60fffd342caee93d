"""Deterministic simulation: the real core and the real driver over a model of everything else.

One seed decides the plans, the order of every callback, all delays and all faults. `python -m
tests.simulate --seed 1 --runs 2000` runs seeds 1, 2, ...; a failure names its seed, and the same command
with that seed and `--runs 1` replays it.
"""
