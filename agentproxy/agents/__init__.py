"""
Who calls: the session, the agent and the part of it that a call or a turn belongs to, as the client says or as its
conversation shows.

All of it comes from outside and may be made up: it is for display, never for a decision. No I/O, no Twisted.
"""
