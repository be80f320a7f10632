"""Plumbing shared by all services: events, transactions, security, telemetry. It knows no domain rule."""
