"""The subcommands of `fracseg` that come with the training package, one file each."""
