"""One command per file: parse the options, call the stage, print the result.

torch, DALI and ONNX Runtime are imported by the stages that need them, not here: ``--help`` answers at once, and worker
processes, which import the command line again, stay small.
"""
