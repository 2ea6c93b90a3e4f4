"""The command `diffugts`: one file per group of commands. Light until a command does something."""
