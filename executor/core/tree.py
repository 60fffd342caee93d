"""The state of an instance: scopes hold tasks, tasks have jobs.

A *scope* is a block that runs: the workflow itself, a branch of an if, a round of a loop, an item of a map. A
*task* is a node in a scope. A *job* is what the shell does for a task now: an attempt of an activation, a
decision to record, a timer. What depends on the order of events is recorded as a decision before it counts,
so the state is a function of the set of records.

A scope is *unwound* when it is to end before its work is done: jobs are stopped, nothing begins any more,
what is undone or cleaned up inside of it runs, inside out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum, auto

from dfc.compiler.plan import Block, Node
from dfc.executor.actions import Finish, Interrupt
from dfc.executor.journal import (
    Completed,
    Failed,
    Record,
    Result,
    Retrying,
    Shape,
    StepError,
)
from dfc.executor.states import (
    JOB_TRANSITIONS,
    TASK_TRANSITIONS,
    InstanceState,
    JobState,
    TaskState,
)


class InvalidPlan(ValueError):
    """The plan is not one that the verifier lets pass: an id twice, or a reference to nowhere."""


class CorruptJournal(ValueError):
    """An event does not fit the plan or what has happened before. No state is to be trusted after this."""


class Reason(StrEnum):
    """Why a scope is unwound."""

    CANCEL = "cancel"
    BEATEN = "beaten"
    TIMEOUT = "timeout"
    BREAK = "break"


class Role(Enum):
    """What a scope is to the task that owns it."""

    ROOT = auto()
    BODY = auto()
    CONDITION = auto()
    THEN = auto()
    ELSE = auto()
    WHILE = auto()
    ARM = auto()
    ITEM = auto()
    CATCH = auto()
    FINALLY = auto()
    UNDO = auto()


class Kind(Enum):
    """What a job does."""

    STATEMENT = auto()
    REQUEST = auto()
    RESPONSE = auto()
    BREAK_VALUE = auto()
    ATOMIC = auto()
    ITEMS = auto()
    END_MAP = auto()
    DECISION = auto()
    LIMIT = auto()
    TIMER = auto()
    POSITION = auto()
    FETCH = auto()
    END_ITEM = auto()
    READ = auto()
    WAITED = auto()
    SIGNAL = auto()
    INSTANCE = auto()
    CALL = auto()
    STOP_CALL = auto()


LISTENERS = frozenset({Kind.SIGNAL, Kind.INSTANCE, Kind.CALL})
"""Jobs that ask whether something has come from outside, until it has."""

INTERRUPTIBLE = LISTENERS | {
    Kind.STATEMENT,
    Kind.REQUEST,
    Kind.RESPONSE,
    Kind.BREAK_VALUE,
    Kind.ATOMIC,
    Kind.ITEMS,
}
"""Activations that can be stopped before they have come to their end."""

ACTIVATIONS = INTERRUPTIBLE | {Kind.END_MAP, Kind.WAITED}
"""Jobs that are attempted by a policy and end in a record of completion or failure."""


@dataclass(slots=True, eq=False)
class Given:
    """What a node has given: where the result is, the result if it is at hand, and the error of one that
    failed without consequence.

    `round` is the outermost loop that it is carried on by, or seen from outside of, and where it stands among
    what that loop has given: what ran later has the higher number.
    """

    shape: Shape
    result: Result | None = None
    error: StepError | None = None
    round: tuple[str, int] | None = None


@dataclass(slots=True, eq=False)
class Layout:
    """A block with its edges as indexes.

    `block` is held so that its `id`, the key of `State.layouts`, is not given to another block.
    """

    nodes: tuple[Node, ...]
    after: list[tuple[int, ...]]
    successors: list[list[int]]
    result: int
    block: Block | None = None


@dataclass(slots=True, eq=False)
class Task:
    """A node in a scope. `waiting` counts what it comes after and has not settled."""

    scope: Scope
    index: int
    node: Node
    waiting: int
    state: TaskState = TaskState.WAITING
    given: Given | None = None
    error: StepError | None = None
    number: int = 0
    """The highest journal number of what it consists of."""
    jobs: dict[str, Job] = field(default_factory=dict[str, "Job"])
    children: list[Scope] = field(default_factory=list["Scope"])
    work: object = None
    """What the module of its kind keeps about it."""

    @property
    def path(self) -> str:
        """The path of its node: that of its activation, or what the paths of its records begin with."""
        return self.scope.frame + self.node.id


@dataclass(slots=True, eq=False)
class Job:
    """What the shell does for a task, under a path of its own."""

    path: str
    task: Task
    kind: Kind
    state: JobState
    attempts: int = 0
    losses: int = 0
    turned: bool = False
    """Whether it has waited for a turn under a rate limit, which is recorded."""
    seconds: float = 0.0
    error: StepError | None = None
    value: str = ""
    """The decision to record."""
    detail: object = None
    """What else its module needs to say what it does."""
    rider: bool = False
    """Whether the last action carried something along that ends more than the activation."""
    again: bool = False
    """Of a job that asks: whether it has to ask again, since something has come meanwhile."""
    expired: bool = False
    """Of a job that listens: whether its time is over."""
    last: bool = False
    """Of a job that asks: whether it does so for the last time."""


@dataclass(slots=True, eq=False)
class Undo:
    """A compensation that has completed: `number` is its place in the order of commits."""

    number: int
    task: Task
    body: Scope


@dataclass(slots=True, eq=False)
class Scope:
    """A block that runs. `frame` stands in front of the paths of its nodes.

    `parent` is where names are looked up next, `owner` whose part it is. `boundary`: undos are registered
    here. `shielded`: it is not unwound from outside. `origin`: the unwinding begins here.
    """

    layout: Layout
    frame: str
    role: Role
    owner: Task | None
    parent: Scope | None
    number: int = 0
    boundary: bool = False
    shielded: bool = False
    reason: Reason | None = None
    origin: bool = False
    tasks: list[Task] = field(default_factory=list[Task])
    unsettled: int = 0
    values: dict[str, Given] = field(default_factory=dict[str, Given])
    carry: dict[str, Given] = field(default_factory=dict[str, Given])
    undos: list[Undo] = field(default_factory=list[Undo])
    records: list[str] = field(default_factory=list[str])
    """The paths of the records under its frame that have not been forgotten; kept where a frame begins."""
    commits: int = 0
    """The highest journal number in it."""
    undoing: list[Undo] | None = None
    undoes_for: Scope | None = None
    ended: bool = False

    @property
    def result(self) -> Task:
        """The task whose result is the scope's."""
        return self.tasks[self.layout.result]


@dataclass(frozen=True, slots=True, eq=False)
class Arrive:
    """Everything before a task has settled."""

    task: Task


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """The record of an activation of a task is there."""

    task: Task
    kind: Kind
    record: Completed | Failed
    rider: bool


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """A task has settled: tell those that come after it, and its scope."""

    task: Task


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """All tasks of a scope have settled."""

    scope: Scope


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """What had to be undone at the end of a scope is undone: its owner goes on."""

    scope: Scope


Turn = Arrive | Reach | Settled | Ended | Closed
"""What stands on the agenda."""


@dataclass(slots=True, eq=False)
class State:
    """Where an instance stands. Made by `begin`, changed by `step`, opaque to everybody else."""

    instance: str
    kept: frozenset[str] = frozenset()
    """The nodes whose results somebody may want."""
    written: Mapping[str, int] = field(default_factory=dict[str, int])
    """Where each node stands in written order; one with blocks stands behind what is in them."""
    input: Result | None = None
    database: str | None = None
    """Where the SQL steps run that do not say where; None: in the database of the workflows."""
    layouts: dict[int, Layout] = field(default_factory=dict[int, Layout])
    root: Scope | None = None
    status: InstanceState = InstanceState.RUNNING
    cancel_reason: str | None = None
    finish: Finish | None = None
    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    agenda: deque[Turn] = field(default_factory=deque[Turn])
    changed: dict[str, Job] = field(default_factory=dict[str, Job])
    """Jobs that the shell has not been told of, in the order of their making."""
    interrupts: list[Interrupt] = field(default_factory=list[Interrupt])
    records: dict[str, Record] = field(default_factory=dict[str, Record])
    """What was there at the beginning and has not been reached yet."""
    retrying: dict[str, Retrying] = field(default_factory=dict[str, Retrying])
    begun: set[str] = field(default_factory=set[str])
    deciders: dict[str, Task] = field(default_factory=dict[str, Task])
    """By path of a decision the task that goes by it."""
    maps: dict[str, Task] = field(default_factory=dict[str, Task])
    """By path the maps that are under way."""
    listeners: dict[str, dict[str, Job]] = field(default_factory=dict[str, dict[str, Job]])
    """By what they listen to the jobs that do, by path."""
    opened: list[Scope] | None = None
    """Every scope that was ever opened, for who wants to know how it came to this."""
    undone: int = 0
    undo_errors: list[StepError] = field(default_factory=list[StepError])
    plain: bool = False
    """Whether it is one transaction of steps, whose records nobody else sees yet."""

    @property
    def top(self) -> Scope:
        """The scope of the workflow itself."""
        assert self.root is not None
        return self.root


def lay_out(block: Block) -> Layout:
    """The edges of a block. Raises InvalidPlan."""
    place: dict[str, int] = {}
    after: list[tuple[int, ...]] = []
    successors: list[list[int]] = []
    for index, node in enumerate(block.nodes):
        if node.id in place:
            raise InvalidPlan(f"the plan has two nodes `{node.id}`")
        try:
            before = tuple([place[id] for id in dict.fromkeys(node.after)])
        except KeyError as unknown:
            message = f"node `{node.id}` of the plan comes after {unknown}, which is not before it"
            raise InvalidPlan(message) from None
        for other in before:
            successors[other].append(index)
        place[node.id] = index
        after.append(before)
        successors.append([])
    if block.result not in place:
        raise InvalidPlan(f"the plan's result, `{block.result}`, is not one of its nodes")
    return Layout(block.nodes, after, successors, place[block.result], block)


def open_scope(
    state: State,
    block: Block,
    *,
    role: Role,
    owner: Task | None,
    parent: Scope | None,
    frame: str,
    number: int = 0,
    boundary: bool = False,
    shielded: bool = False,
    reason: Reason | None = None,
) -> Scope:
    """Begin a block. It inherits the unwinding of what it stands in, unless it is shielded.

    `reason`: that it is to end has been decided, which goes before what it inherits.
    """
    layout = state.layouts.get(id(block))
    if layout is None:
        layout = state.layouts[id(block)] = lay_out(block)
    inherited = None if shielded or owner is None else owner.scope.reason
    scope = Scope(
        layout,
        frame,
        role,
        owner,
        parent,
        number=number,
        boundary=boundary,
        shielded=shielded,
        reason=reason or inherited,
        origin=reason is not None,
    )
    scope.tasks = [
        Task(scope, index, node, len(layout.after[index])) for index, node in enumerate(layout.nodes)
    ]
    scope.unsettled = len(scope.tasks)
    if owner is not None:
        owner.children.append(scope)
    if state.opened is not None:
        state.opened.append(scope)
    for task in scope.tasks:
        if not task.waiting:
            state.agenda.append(Arrive(task))
    return scope


def add_job(
    state: State, task: Task, kind: Kind, path: str, to: JobState = JobState.RUNNING, detail: object = None
) -> Job:
    """Ask the shell for something. Raises CorruptJournal when it is already asked for."""
    if path in state.jobs:
        raise CorruptJournal(f"`{path}` is asked for twice")
    job = Job(path, task, kind, to, detail=detail)
    state.jobs[path] = task.jobs[path] = state.changed[path] = job
    return job


def move_job(state: State, job: Job, to: JobState) -> None:
    """Change the state of a job; the shell is told. Raises CorruptJournal for a move that cannot be."""
    if to not in JOB_TRANSITIONS[job.state]:
        raise CorruptJournal(f"activation `{job.path}` is {job.state} and cannot become {to}")
    job.state = to
    state.changed[job.path] = job


def drop_job(state: State, job: Job) -> None:
    """The shell has nothing to do for it any more."""
    del state.jobs[job.path]
    del job.task.jobs[job.path]
    state.changed.pop(job.path, None)


def settle(
    state: State, task: Task, to: TaskState, given: Given | None = None, error: StepError | None = None
) -> None:
    """The end of a task."""
    if to not in TASK_TRANSITIONS[task.state]:
        raise CorruptJournal(f"`{task.path}` is {task.state} and cannot become {to}")
    task.state = to
    task.given = given
    task.error = error
    state.agenda.append(Settled(task))


def outcome_of(scope: Scope) -> TaskState:
    """How a scope whose tasks have all settled has come out: completed, failed or stopped."""
    result = scope.result
    if result.state is TaskState.COMPLETED:
        return TaskState.COMPLETED
    return TaskState.STOPPED if result.error is None else TaskState.FAILED


def pass_on(state: State, task: Task, scope: Scope) -> None:
    """Settle a task as its part has come out."""
    take_over(task, scope)
    settle(state, task, outcome_of(scope), scope.result.given, marked(scope.result.error, scope))


def marked(error: StepError | None, *scopes: Scope) -> StepError | None:
    """An error that leaves these scopes: whether undo steps have run at their end goes with it."""
    if error is None or not any(scope.undoing is not None for scope in scopes):
        return error
    return replace(error, undone=True)


def take_over(task: Task, scope: Scope) -> None:
    """What a part of a task has given is seen from behind the task."""
    task.scope.values.update(scope.values)
    task.number = max(task.number, scope.commits)


def hand_up(task: Task, scope: Scope) -> None:
    """The undos of a part of a task that has ended are now for what is around the task."""
    if scope.undos:
        boundary_of(task.scope).undos += scope.undos
        scope.undos = []


def _around(scope: Scope) -> Scope | None:
    """What a scope stands in: the condition behind a round in the round, an undo in what it undoes."""
    if scope.role is Role.WHILE:
        return scope.parent
    if scope.undoes_for is not None:
        return scope.undoes_for
    return None if scope.owner is None else scope.owner.scope


def frame_of(scope: Scope) -> Scope:
    """The scope at which the frame of this one begins: a round, an attempt, an item, the workflow."""
    here = scope
    while (around := _around(here)) is not None and (
        here.frame == around.frame or here.undoes_for is not None
    ):
        here = around
    return here


def boundary_of(scope: Scope) -> Scope:
    """The innermost scope around, or this one, where undos are registered."""
    here = scope
    while not here.boundary:
        around = _around(here)
        assert around is not None, "the workflow itself is a boundary"
        here = around
    return here


def note_record(task: Task, path: str, number: int) -> None:
    """A record belongs to a task from now on."""
    task.number = max(task.number, number)
    frame_of(task.scope).records.append(path)
