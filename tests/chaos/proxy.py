"""A TCP proxy on loopback between the mill and a real server, which spoils what passes it."""

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Self

from deploy.servers.process import free_port

_PIECE = 16 << 10
_AT_ONCE = struct.pack("ii", 1, 0)
_METHODS = (b"DELETE ", b"GET ", b"HEAD ", b"POST ", b"PUT ")
_ANSWER = (
    "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {size}\r\n"
    "Connection: close\r\n\r\n{body}"
)


class Way(Enum):
    """From the client to the server, or back."""

    REQUEST = "request"
    ANSWER = "answer"


class Proxy:
    """Passes everything to `target`, a port of this machine, until it is told otherwise.

    `delay`: seconds that each piece of an answer (of 16 KiB at most) is held back. `cut`: the next
    request, or the next answer, that is longer than so many bytes is reset there. `hold`: the next
    HTTP request with that in its first line is kept back, and `held` set, until `let_go`.
    """

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.delay = 0.0
        self.cut: dict[Way, int] = {}
        self.hold = b""
        self.held = False
        self.spoilt = 0
        self._target = target
        self._answers = deque[bytes]()
        self._writers = set[asyncio.StreamWriter]()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._going = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._flowing.set)
        self.accept()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.thaw()
        self.refuse()
        asyncio.run_coroutine_threadsafe(_all_ended(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def address(self, url: str) -> str:
        """A server's URL with our port in place of its own."""
        return url.replace(f":{self._target}", f":{self.port}")

    def freeze(self) -> None:
        """Pass nothing on, but keep what comes."""
        self._call(self._flowing.clear)

    def thaw(self) -> None:
        self._call(self._flowing.set)

    def let_go(self) -> None:
        """Pass on the request that was held."""
        self._call(self._going.set)

    def reset(self) -> None:
        """Break every connection (RST), as a router does that forgot them."""
        self._call(self._reset_all)

    def refuse(self) -> None:
        """Break every connection and take no new one."""
        self._call(self._close)

    def accept(self) -> None:
        """Take connections again."""
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)

    def answer(self, count: int, status: str, code: str) -> None:
        """Answer the next HTTP requests with an S3 error, such as 503 and SlowDown."""
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
        full = _ANSWER.format(status=status, size=len(body), body=body).encode()
        self._call(lambda: self._answers.extend([full] * count))

    @property
    def unanswered(self) -> int:
        """How many of the errors that `answer` ordered are still to be given."""
        return len(self._answers)

    def _call(self, action: Callable[[], object]) -> None:
        done = threading.Event()

        def step() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(step)
        assert done.wait(10), "the proxy's loop is stuck"

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset_all()

    def _reset_all(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = {writer}
        self._writers |= pair
        try:
            answers, requests = await asyncio.open_connection("127.0.0.1", self._target)
            pair.add(requests)
            self._writers |= pair
            sent = dict.fromkeys(Way, 0)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_requests(reader, writer, requests, sent))
                group.create_task(self._pass_answers(answers, writer, sent))
        except* OSError:
            pass  # one side broke: so does the other
        finally:
            self._writers -= pair
            for each in pair:
                _reset(each)

    async def _pass_requests(
        self,
        source: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        server: asyncio.StreamWriter,
        sent: dict[Way, int],
    ) -> None:
        while piece := await source.read(_PIECE):
            await self._flowing.wait()
            if self._answers and piece.startswith(_METHODS):
                self.spoilt += 1
                client.write(self._answers.popleft())
                client.write_eof()
                while await source.read(_PIECE):
                    pass  # or the reset of what was not read would overtake the answer
                raise ConnectionResetError
            if self.hold and self.hold in piece.partition(b"\r\n")[0]:
                self.hold, self.held = b"", True
                await self._going.wait()
            await self._pass(Way.REQUEST, piece, server, sent)
        server.write_eof()

    async def _pass_answers(
        self, source: asyncio.StreamReader, client: asyncio.StreamWriter, sent: dict[Way, int]
    ) -> None:
        while piece := await source.read(_PIECE):
            await asyncio.sleep(self.delay)
            await self._flowing.wait()
            await self._pass(Way.ANSWER, piece, client, sent)
        client.write_eof()

    async def _pass(
        self, way: Way, piece: bytes, sink: asyncio.StreamWriter, sent: dict[Way, int]
    ) -> None:
        """One piece. `sent`: the bytes that went each way since the other side last spoke."""
        before = sent[way]
        sent.update(dict.fromkeys(Way, 0))
        sent[way] = before + len(piece)
        cut = way in self.cut and sent[way] > self.cut[way]
        sink.write(piece[: self.cut.pop(way) - before] if cut else piece)
        await sink.drain()
        if cut:
            self.spoilt += 1
            raise ConnectionResetError


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side sees a reset, and nothing is left to be sent."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()


async def _all_ended() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others)
