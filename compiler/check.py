"""The pass over the rules: every rule sees the same facts, and all problems come out in one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from dfc.compiler.diagnostics import Diagnostic
from dfc.compiler.facts import Facts
from dfc.compiler.rules.df104_unknown_reference import unknown_reference
from dfc.compiler.rules.df105_duplicate_step import duplicate_step
from dfc.compiler.rules.df106_parallel_reference import parallel_reference
from dfc.compiler.rules.df107_early_reference import early_reference
from dfc.compiler.rules.df108_missing_part import missing_part
from dfc.compiler.rules.df109_break_outside import break_outside
from dfc.compiler.rules.df121_reference_in_body import reference_in_body
from dfc.compiler.rules.df130_lone_rows import lone_rows
from dfc.compiler.rules.df131_request_as_items import request_as_items
from dfc.compiler.rules.df132_misplaced_policy import misplaced_policy
from dfc.compiler.rules.df133_policy_twice import policy_twice
from dfc.compiler.rules.df141_not_atomic import not_atomic
from dfc.compiler.rules.df142_undo_of_undo import undo_of_undo
from dfc.compiler.rules.df183_unknown_input import unknown_input
from dfc.compiler.rules.df187_input_not_taken import input_not_taken
from dfc.compiler.rules.df201_mixed_operators import mixed_operators
from dfc.compiler.rules.df202_parallel_conflict import parallel_conflict
from dfc.compiler.rules.df203_near_name_in_literal import near_name_in_literal
from dfc.compiler.rules.df204_reference_in_constant import reference_in_constant
from dfc.compiler.rules.df205_size_of_a_map import size_of_a_map
from dfc.compiler.rules.df206_items_meet import items_meet
from dfc.compiler.rules.df207_unknown_effects import unknown_effects
from dfc.compiler.rules.df208_every_row import every_row
from dfc.compiler.rules.df209_unordered_claim import unordered_claim
from dfc.compiler.rules.df210_loop_never_waits import loop_never_waits
from dfc.compiler.rules.df212_endless_wait import endless_wait
from dfc.compiler.rules.df213_unused_result import unused_result
from dfc.compiler.rules.df214_spliced_value import spliced_value
from dfc.compiler.rules.df300_session_state import session_state
from dfc.compiler.rules.df310_race_effects import race_effects
from dfc.compiler.rules.df311_failing_reference import failing_reference
from dfc.compiler.rules.df312_repeated_effect import repeated_effect
from dfc.compiler.rules.df313_sent_again import sent_again
from dfc.compiler.rules.df330_database_of_a_request import database_of_a_request
from dfc.compiler.rules.df511_nesting_levels import nesting_levels
from dfc.compiler.rules.df512_steps import steps

Rule = Callable[[Facts], Iterator[Diagnostic]]

RULES: tuple[Rule, ...] = (
    unknown_reference,
    duplicate_step,
    parallel_reference,
    early_reference,
    missing_part,
    break_outside,
    reference_in_body,
    lone_rows,
    request_as_items,
    misplaced_policy,
    policy_twice,
    not_atomic,
    undo_of_undo,
    unknown_input,
    input_not_taken,
    mixed_operators,
    parallel_conflict,
    near_name_in_literal,
    reference_in_constant,
    size_of_a_map,
    items_meet,
    unknown_effects,
    every_row,
    unordered_claim,
    spliced_value,
    session_state,
    race_effects,
    failing_reference,
    repeated_effect,
    database_of_a_request,
)

# These come last, where nothing is wrong: what is faulty may be the very thing whose lack they report.
LAST_RULES: tuple[Rule, ...] = (
    loop_never_waits,
    endless_wait,
    unused_result,
    sent_again,
)

# These come first, and alone: what they refuse is too big for the rest.
SIZE_RULES: tuple[Rule, ...] = (nesting_levels, steps)


def check(facts: Facts, rules: Iterable[Rule]) -> list[Diagnostic]:
    """What the rules find, in the order of the source."""
    problems = [problem for rule in rules for problem in rule(facts)]
    return sorted(problems, key=lambda problem: (problem.span.start, problem.code))
