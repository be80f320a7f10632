"""What touches the outside: database, events, gRPC, archives, rules."""
