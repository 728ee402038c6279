"""Loops over many things: one file per stage, and the command line on top."""
