"""The command line `fracseg`: one file per command."""
