"""The commands, a module for each noun; `cli.app` says which there are."""
