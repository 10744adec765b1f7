"""
The load: clients of a proxy and the upstream behind it, both in one process, which checks every answer.

It judges agentproxy from outside, so it imports nothing of it.
"""
