"""The statements that the compiler writes for requests and values whose constants hold references."""

from __future__ import annotations

from dfc.compiler.ast import Http, Text


def request_statement(tree: Http) -> Text | None:
    """The statement that computes the request of `tree`; None for one that is constant."""
    return None


def value_statement(text: Text) -> Text | None:
    """The statement that computes the JSON value of a text; None for one that is constant."""
    return None
