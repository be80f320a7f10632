"""Pure values and rules that are one contract for several services. No I/O, no wire format (except ``codec``)."""
