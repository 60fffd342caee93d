"""Durable workflows for PostgreSQL: a SQL-to-plan compiler and a deterministic executor."""

__version__ = "0.1.0"
