"""Figures of dfc on this machine: `python -m bench`."""
