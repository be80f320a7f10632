"""What the study router does, one class each."""
