"""The command line: parse, call, map errors to exit codes; one module a command group."""
