"""Keeps the log lines of the libraries used here out of what a person watches."""

import logging

import structlog


def only_warnings() -> None:
    """Let warnings and errors through, and nothing less."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
