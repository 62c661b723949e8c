"""The subcommands of `chatbench`, one a file: each adds its arguments and runs with them."""
