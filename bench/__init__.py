"""The benchmark: agentproxy beside its peers. `bench/run` runs it, bench/README.md explains it."""
