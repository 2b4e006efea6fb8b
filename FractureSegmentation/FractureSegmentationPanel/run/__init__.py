"""A run of the command line in a child process: command, events, outcome, ending."""
