"""Who may do what: credentials, and the gate, the one place that says yes or no. It fails closed."""
