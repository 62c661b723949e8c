"""The `chatbench` command, one file a subcommand: each adds its arguments and runs with them."""
