"""What the processes print, on its way to the terminal."""

import os
import subprocess
import sys

from tests.instance import ROOT

PRINT_A_MEGABYTE = """
from webapp.embedded.output import Output
output = Output()
for number in range(10_000):
    output.lines(name="web", text=b"x" * 100)
"""


def printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_each_line_carries_the_name_of_its_process():
    program = "from webapp.embedded.output import Output\nOutput().lines(name='web', text='eins\\nzwei ü'.encode())"
    assert printed(program) == "web      | eins\nweb      | zwei ü\n"


def test_a_reader_that_does_not_read_stops_nobody():
    """A full pipe must not block the runner: web and worker would wait for their log lines for ever."""
    reader, writer = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", PRINT_A_MEGABYTE], cwd=ROOT, stdout=writer)
    os.close(writer)
    assert process.wait(30) == 0
    os.close(reader)


def test_a_reader_that_has_gone_stops_nobody():
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen([sys.executable, "-c", PRINT_A_MEGABYTE], cwd=ROOT, stdout=writer)
    os.close(writer)
    assert process.wait(30) == 0


def test_a_reader_that_reads_gets_every_line():
    assert printed(PRINT_A_MEGABYTE).count("\n") == 10_000
