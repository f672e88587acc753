"""What a failure does, as one table: fault, door, what the agent is told, what the log says, what arrived upstream, what comes next."""
