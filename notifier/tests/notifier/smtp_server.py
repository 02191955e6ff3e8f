"""Handlers of the tests' SMTP servers."""

import asyncio
import email

from aiosmtpd.handlers import Mailbox


class Picky(Mailbox):
    """Refuses some recipients, and keeps other mails in a maildir."""

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("unknown-"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"


class Stalling(Mailbox):
    """Takes the first mail too late, and keeps the others in a maildir."""

    stalls = 1

    async def handle_DATA(self, server, session, envelope):
        if Stalling.stalls > 0:
            Stalling.stalls -= 1
            await asyncio.sleep(2.5)
            return "451 4.3.0 too late"
        return await super().handle_DATA(server, session, envelope)


class Slow:
    """Takes its time, and writes the id of each mail to a file."""

    def __init__(self, path):
        self.file = open(path, "a", buffering=1)

    @classmethod
    def from_cli(cls, parser, *args):
        return cls(*args)

    async def handle_DATA(self, server, session, envelope):
        await asyncio.sleep(0.02)
        mail = email.message_from_bytes(envelope.content)
        self.file.write(mail["Message-ID"] + "\n")
        return "250 OK"
