"""What relay tells of its calls: log, metrics, redaction. It fails open and is never in the way of the bytes."""
