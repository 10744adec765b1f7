"""The record store: calls, turns and content in one SQLite file; written by a thread of its own, read by anyone."""
