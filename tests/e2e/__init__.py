"""Stories through the whole platform, told with real servers."""
