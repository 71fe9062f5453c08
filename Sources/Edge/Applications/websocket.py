

# WebSocket, RFC 6455, for applications of ASGI: this file goes on where asgi.py ends.

import base64, hashlib, http

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MESSAGE_LIMIT = 16 << 20
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebSocketError(Exception):
    """What the client has sent is not in form; the code says why."""

    def __init__(self, code, reason):
        super().__init__(reason)
        self.code = code


def unmasked(data, mask):
    count = len(data)
    whole = (mask * (count // 4 + 1))[:count]
    return (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(count, "big")


def framed(opcode, data):
    count = len(data)
    if count < 126:
        return bytes((0x80 | opcode, count)) + data
    if count < 65536:
        return struct.pack(">BBH", 0x80 | opcode, 126, count) + data
    return struct.pack(">BBQ", 0x80 | opcode, 127, count) + data


class WebSocketExchange:
    """One WebSocket, whose bytes pass through a socket of its own."""

    def __init__(self, worker, loop, number, scope, identifier, connection):
        self.worker, self.channel, self.number = worker, worker.channels[loop], number
        self.identifier, self.connection = identifier, connection
        connection.setblocking(False)
        self.begun = perf_counter()
        self.state = "connecting"
        self.is_told = False
        self.closing = None
        self.buffer = b""
        self.lock = asyncio.Lock()
        self.fields = dict(scope["headers"])
        wanted = self.fields.get(b"sec-websocket-protocol", b"").decode("latin-1")
        del scope["method"]
        scope.update(
            type="websocket", scheme={"https": "wss"}.get(scope["scheme"], "ws"),
            subprotocols=[word.strip() for word in wanted.split(",") if word.strip()])
        self.scope = scope

    time = Answer.time
    put = EventExchange.put

    def leave(self):
        """The client has gone before the WebSocket was opened."""

    async def serve(self):
        try:
            await self.worker.application(self.scope, self.receive, self.send)
            if self.state == "connecting":
                await self.refuse(500)
            elif self.state == "open":
                await self.close(1000, "")
        except Exception:
            sys.stderr.write("request %s: the WebSocket %s failed\n" % (
                self.identifier, self.scope.get("path")) + traceback.format_exc())
            if self.state == "connecting":
                await self.refuse(500)
            elif self.state == "open":
                await self.close(1011, "")
        finally:
            self.connection.close()

    # What the application is told

    async def receive(self):
        if not self.is_told:
            self.is_told = True
            return {"type": "websocket.connect"}
        if self.closing is None and self.state != "connecting":
            try:
                opcode, data = await self.message()
                if opcode == TEXT:
                    return {"type": "websocket.receive", "text": data.decode()}
                if opcode == BINARY:
                    return {"type": "websocket.receive", "bytes": data}
                code = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else 1005
                await self.close(1000 if code == 1005 else code, "")
                self.closing = (code, data[2:].decode("utf-8", "replace"))
            except UnicodeDecodeError:
                await self.close(1007, "")
                self.closing = (1007, "not in UTF-8")
            except WebSocketError as error:
                await self.close(error.code, str(error))
                self.closing = (error.code, str(error))
            except OSError:
                self.closing = (1006, "")
        code, reason = self.closing or (1006, "")
        return {"type": "websocket.disconnect", "code": code, "reason": reason}

    async def message(self):
        """The next message, or the end; pings are answered."""
        kind, parts, size = None, [], 0
        while True:
            head = await self.take(2)
            opcode, count = head[0] & 15, head[1] & 127
            if head[0] & 0x70 or not head[1] & 0x80:
                raise WebSocketError(1002, "a frame without a mask, or of an extension")
            if count == 126:
                count = struct.unpack(">H", await self.take(2))[0]
            elif count == 127:
                count = struct.unpack(">Q", await self.take(8))[0]
            if opcode >= CLOSE and (count > 125 or not head[0] & 0x80):
                raise WebSocketError(1002, "a control frame that is long, or in parts")
            size += count
            if size > MESSAGE_LIMIT:
                raise WebSocketError(1009, "a message of more than %d bytes" % MESSAGE_LIMIT)
            mask = await self.take(4)
            data = unmasked(await self.take(count), mask)
            if opcode == PING:
                await self.write(framed(PONG, data))
            elif opcode == CLOSE:
                return CLOSE, data
            elif opcode in (TEXT, BINARY, CONTINUATION):
                if (kind is None) == (opcode == CONTINUATION):
                    raise WebSocketError(1002, "the parts of a message are not in order")
                kind = kind or opcode
                parts.append(data)
                if head[0] & 0x80:
                    return kind, b"".join(parts)
            elif opcode != PONG:
                raise WebSocketError(1002, "a frame of an unknown kind")
            if opcode >= CLOSE:
                size -= count

    async def take(self, count):
        while len(self.buffer) < count:
            more = await self.worker.loop.sock_recv(self.connection, 65536)
            if not more:
                raise ConnectionError("the client has gone")
            self.buffer += more
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    # What the application says

    async def send(self, event):
        kind = event["type"]
        if kind == "websocket.accept" and self.state == "connecting":
            await self.accept(event)
        elif kind == "websocket.close" and self.state == "connecting":
            await self.refuse(403)
        elif kind == "websocket.send" and self.state == "open":
            text = event.get("text")
            data = framed(TEXT, text.encode()) if text is not None \
                else framed(BINARY, bytes(event["bytes"]))
            try:
                await self.write(data)
            except OSError:
                self.closing = self.closing or (1006, "")
        elif kind == "websocket.close" and self.state == "open":
            await self.close(event.get("code", 1000), event.get("reason") or "")
        elif self.state != "closed":
            raise RuntimeError("%s cannot be sent now" % kind)

    async def accept(self, event):
        key = self.fields.get(b"sec-websocket-key", b"")
        accepted = base64.b64encode(hashlib.sha1(key + GUID).digest())
        lines = [b"101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade",
                 b"Sec-WebSocket-Accept: " + accepted]
        if event.get("subprotocol"):
            lines.append(b"Sec-WebSocket-Protocol: " + event["subprotocol"].encode("latin-1"))
        lines += [bytes(name) + b": " + bytes(value) for name, value in event.get("headers") or ()]
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1:
            raise ValueError("a header holds a line break")
        await self.answer(head + b"\r\n", b"")
        self.state = "open"

    async def refuse(self, status):
        self.state = "closed"
        reason = http.HTTPStatus(status).phrase.encode()
        head = b"%d %s\r\nContent-Type: text/plain\r\n" % (status, reason)
        await self.answer(head, reason + b"\n")

    async def answer(self, head, body):
        start = ANSWER.pack(WHOLE, 0, 0, len(head), len(body), self.number, self.time())
        await self.put((start, head, body))

    async def close(self, code, reason):
        self.state = "closed"
        try:
            await self.write(framed(CLOSE, struct.pack(">H", code) + reason.encode()[:123]))
        except OSError:
            pass

    async def write(self, data):
        async with self.lock:
            await self.worker.loop.sock_sendall(self.connection, data)
