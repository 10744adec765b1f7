"""The console script `agentproxy`: one file a command, gathered in `cli.main`."""
