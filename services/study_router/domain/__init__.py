"""Pure rules of the study router: no clock, socket, file or wire format."""
