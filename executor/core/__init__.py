"""The core: a workflow that runs, as a tree of scopes, tasks and jobs, moved by events alone.

`tree` is the state; `decide` (one level up) is the only entry. No module here knows a clock, chance or I/O.
Every module does one kind of move and puts what follows from it on the agenda of the state, from where
`decide` hands it to the module that it concerns: so no move calls another, and no nesting becomes recursion.
"""
