"""What the use cases need from outside, one file per outside thing."""
