"""One verb per file: parse, call the stage, tell what came of it.

torch, DALI and MediaPipe are imported when a stage needs them, not here: ``--help`` answers at
once, and worker processes, which import the command line again, stay small.
"""
