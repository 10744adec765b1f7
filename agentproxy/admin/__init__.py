"""The admin port: health, readiness, metrics, the records, and what the service is made of. Shows no call's content."""
