"""The command line, one file per command: the only place that composes the parts, the only print."""
