"""Data sets that others made: how each names its photos, what its tables say of them, and how they become crops."""
