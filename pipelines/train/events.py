"""TensorBoard's file of a training run."""

import os
import platform
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

VERSION = "brain.Event:2"  # of the format; the first record names it


class Events:
    """Writes scalars for TensorBoard.

    TensorBoard's own writer is a thread: on a full disk that prints a traceback, and what it could not write is not
    told. Here every call opens the file, writes and closes it, so errors are those of the caller, and a file that was
    moved or removed in the meantime begins anew.

    Args:
        run: the run's folder.
        step: the first step that is going to be written; TensorBoard drops this one and later ones of earlier files.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, run: Path, step: int) -> None:
        self._path = run / f"events.out.tfevents.{int(time.time()):010d}.{platform.node()}.{os.getpid()}"
        self._append(Event(step=step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, step: int, values: dict[str, float]) -> None:
        """Write the scalars of a step.

        Raises:
            OSError: they cannot be written.
        """
        scalars = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._append(Event(step=step, summary=Summary(value=scalars)))

    def _append(self, event: Event) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        event.wall_time = time.time()
        with self._path.open("ab") as file:
            records = RecordWriter(file)
            if not file.tell():
                records.write(Event(wall_time=event.wall_time, file_version=VERSION).SerializeToString())
            records.write(event.SerializeToString())
