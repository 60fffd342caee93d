"""Inputs that nobody would write, for the parser and the validator."""
