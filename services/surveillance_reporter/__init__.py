"""The surveillance reporter: keeps every event in a journal of its own and counts what every device did.

Reads every event of every service, and has events that never arrived sent again. Emits nothing yet. Serves
``udc.surveillance.v1``.
"""
