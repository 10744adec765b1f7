"""The admin port: health, readiness, metrics, and what the service is made of. Never told of a call's content."""
