"""Deterministic simulation: the real core and the real driver over a model of everything else.

One seed decides the plans, the order of every callback, all delays and all faults. `python -m
tests.simulate --seed 1 --runs 2000` runs seeds 1, 2, ...; a failure names its seed, and the same command
with that seed and `--runs 1` replays it. `--seed N --shrink` makes the failing case small, and prints it.

- plans, names, trees, places: random plans, what their steps may refer to, plans taken apart
- fates: what comes of a step, by its path
- database, rows, shapes: the model of the store
- network, ports, loop, worker: requests that travel and get lost, the ports over them, who dies and who
  pauses
- watch: what a driver must not do, checked while it runs
- history: all that has happened, also what the store has forgotten
- walk, structures, repeats, interpret: a plan followed along its history, to what has to have happened, given
  who was faster
- check, fold: the verdict; the law that the state is a function of the rows
- mutants, mutants_core: mistakes that have to be noticed
- shrink, cases: a failing case made small
"""
