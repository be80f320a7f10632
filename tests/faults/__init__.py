"""Things are killed, frozen and taken away; nothing may be lost and nothing may happen twice."""
