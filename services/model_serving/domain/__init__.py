"""What serving knows without any server: pixels, grids, masks, and what follows from an answer or a failure."""
