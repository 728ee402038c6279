"""Tools for one photo, one face, one record. No torch, no DALI, no command line."""
