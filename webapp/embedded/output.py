"""The lines of many processes on one terminal, each with the name of its process before it."""

import os
import select
import sys
from typing import IO

COLOURS = (36, 33, 32, 35, 34)
NAME_WIDTH = 8
SAFE_WRITE_BYTES = 4096  # a pipe that select calls writable takes as much without blocking, pipe(7)


class Output:
    """Writes to standard output, and rather loses a line than wait for a reader that does not read."""

    def __init__(self) -> None:
        self._fd = sys.stdout.fileno()
        self._colourful = os.isatty(self._fd) and "NO_COLOR" not in os.environ
        self._colours: dict[str, int] = {}
        self._broken = False
        self._lost = 0

    def lines(self, *, name: str, text: bytes) -> None:
        """Write each line of `text` behind `name`."""
        for line in text.splitlines():
            self._write(self._label(name) + line + b"\n")

    def say(self, text: str) -> None:
        """Write lines of the runner's own."""
        self.lines(name="run", text=text.encode())

    def block(self, text: str) -> None:
        """Write `text` as it is."""
        for line in text.splitlines():
            self._write(line.encode() + b"\n")

    def _label(self, name: str) -> bytes:
        label = f"{name:<{NAME_WIDTH}} | "
        if self._colourful:
            colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
            label = f"\x1b[{colour}m{label}\x1b[0m"
        return label.encode()

    def _write(self, line: bytes) -> None:
        if self._broken:
            return
        # The first line that finds no room waits a moment; while the reader sleeps, no other one does.
        if not select.select([], [self._fd], [], 0.0 if self._lost else 0.2)[1]:
            self._lost += 1
            return
        if self._lost:
            line = f"({self._lost} lines were lost: nobody read them)\n".encode() + line
            self._lost = 0
        try:
            os.write(self._fd, line[: SAFE_WRITE_BYTES - 1].rstrip(b"\n") + b"\n")
        except OSError:  # the terminal or the pipe is gone; the processes must go on
            self._broken = True


class LinePipe:
    """Passes on the whole lines that come out of a process, and of the children that share its pipe."""

    def __init__(self, *, name: str, file: IO[bytes], output: Output) -> None:
        os.set_blocking(file.fileno(), False)
        self.file = file
        self._name = name
        self._output = output
        self._unfinished = b""

    def pass_on(self) -> bool:
        """Write what has come; False when nobody can write into the pipe any more."""
        try:
            data = os.read(self.file.fileno(), 65536)
        except BlockingIOError:
            return True
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        if self._unfinished and (not data or len(self._unfinished) > 65536):
            lines, self._unfinished = [*lines, self._unfinished], b""
        self._output.lines(name=self._name, text=b"\n".join(lines))
        return bool(data)
