"""How the archiver reaches the world."""
