"""A mail server for tests: speaks SMTP over a real socket and keeps what it is given."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class MailServer(socketserver.ThreadingTCPServer):
    """Takes every mail, unless `refuse` is an answer such as `550 no`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.mails: list[bytes] = []
        self.recipients: list[str] = []
        self.logins = 0
        self.refuse = ""

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Conversation(socketserver.StreamRequestHandler):
    server: MailServer

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self) -> None:
        self.say("220 test")
        while line := self.rfile.readline().decode("utf-8", "replace").strip():
            word = line.split(" ")[0].upper()
            if word == "QUIT":
                self.say("221 bye")
                return
            self.answer(word, line)

    def answer(self, word: str, line: str) -> None:
        if word == "EHLO":
            self.say("250-test\r\n250 SMTPUTF8")
        elif word == "RCPT":
            if not self.server.refuse:
                self.server.recipients.append(line)
            self.say(self.server.refuse or "250 ok")
        elif word == "AUTH":
            self.server.logins += 1
            self.say("235 ok")
        elif word == "DATA":
            self.say("354 go on")
            self.server.mails.append(b"".join(iter(self.rfile.readline, b".\r\n")))
            self.say("250 taken")
        else:
            self.say("250 ok")


@contextmanager
def running_mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
