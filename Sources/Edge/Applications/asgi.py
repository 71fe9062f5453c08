

# ASGI 3: this file goes on where worker.py ends; both are one program.

import asyncio, functools, http, itertools

class EventFile:
    """A request's body that lies in a file, as events of ASGI."""

    def __init__(self, file, length):
        self.file, self.left, self.at = file, length, 0
        self.is_over = False

    async def next(self):
        data = os.pread(self.file, min(self.left, INLINE_BYTES), self.at)
        self.at += len(data)
        self.left -= len(data)
        self.is_over = self.left <= 0 or not data
        return {"type": "http.request", "body": data, "more_body": not self.is_over}

    def close(self):
        os.close(self.file)


class EventStream:
    """A request's body that comes while the application is at it, as events of ASGI."""

    def __init__(self, loop, descriptor, early):
        self.loop, self.early = loop, early
        self.socket = socket.socket(fileno=descriptor)
        self.socket.setblocking(False)
        # Several coroutines may ask for the next event.
        self.turn = asyncio.Lock()
        self.is_over = False

    async def next(self):
        async with self.turn:
            data, self.early = self.early, b""
            if not data and not self.is_over:
                message = await self.loop.sock_recv(self.socket, PIECE_BYTES)
                if not message:
                    return None
                self.is_over = message[0] == 0
                data = message[1:]
            return {"type": "http.request", "body": data, "more_body": not self.is_over}

    def close(self):
        self.socket.close()


class EventExchange:
    """One request of ASGI and its answer."""

    # What a body comes from that has not come with the request.
    source = None
    gone = None
    is_gone = False
    head = None
    length = None
    is_begun = False
    is_ended = False
    sent = 0
    rest = None

    def __init__(self, worker, loop, number, scope, identifier, body):
        self.worker, self.channel, self.number = worker, worker.channels[loop], number
        self.scope, self.identifier = scope, identifier
        # None: the application has had it.
        self.body = body
        self.is_to_head = scope["method"] == "HEAD"

    time = Answer.time

    async def serve(self):
        self.begun = perf_counter()
        try:
            await self.worker.application(self.scope, self.receive, self.send)
            if not self.is_ended:
                if not self.is_gone:
                    raise RuntimeError("the application has ended without its whole answer")
                await self.cut()
        except (Exception, asyncio.CancelledError) as error:
            if not is_caused_by_leaving(error):
                await self.fail()
            elif not self.is_ended:
                await self.cut()
        finally:
            if self.source is not None:
                self.source.close()
            self.leave()

    async def receive(self):
        if not self.is_gone:
            body, self.body = self.body, None
            if body is not None:
                return {"type": "http.request", "body": body, "more_body": False}
            if self.source is not None and not self.source.is_over:
                event = await self.source.next()
                if event is not None:
                    return event
                self.leave()
        if not self.is_gone and not self.is_ended:
            if self.gone is None:
                self.gone = self.worker.loop.create_future()
            await asyncio.shield(self.gone)
        return {"type": "http.disconnect"}

    def leave(self):
        """Notes that the client has gone, or that there is nothing more to say."""
        self.is_gone = True
        if self.gone is not None and not self.gone.done():
            self.gone.set_result(None)

    async def send(self, event):
        kind = event["type"]
        if kind == "http.response.start":
            if self.head is not None:
                raise RuntimeError("http.response.start was sent twice")
            self.head, self.length = event_head(event)
            return
        if kind != "http.response.body":
            raise RuntimeError("%s is no event of an answer" % kind)
        if self.head is None:
            raise RuntimeError("http.response.body was sent before http.response.start")
        if self.is_ended:
            raise RuntimeError("http.response.body was sent behind the last one")
        data = event.get("body", b"")
        if type(data) is not bytes:
            data = bytes(data)
        more = event.get("more_body", False)
        if self.is_gone:
            raise Disconnected()
        if not more and not self.is_begun and len(data) <= INLINE_BYTES:
            if self.length is not None and self.length != len(data) and not self.is_to_head:
                data = data[:self.length]
                if len(data) < self.length and status_has_body(self.head):
                    await self.pieces(data)
                    return await self.finish()
            self.is_ended = self.is_begun = True
            taken = self.time()
            start = ANSWER.pack(WHOLE, 0 if self.length is None else HAS_LENGTH, 0, len(self.head),
                                len(data), self.number, taken)
            if taken < HELD_MICROSECONDS and self.worker.is_crowded \
                    and len(self.head) + len(data) < COPIED_BYTES:
                return self.worker.hold(self.channel, start + self.head + data)
            return await self.put((start, self.head, data))
        await self.pieces(data)
        if not more:
            await self.finish()

    async def pieces(self, data):
        if not self.is_begun:
            self.is_begun = True
            flags = HAS_LENGTH if self.length is not None else 0
            start = ANSWER.pack(HEAD, flags, 0, len(self.head), 0, self.number, self.time())
            await self.put((start, self.head))
        if self.length is not None:
            data = data[:self.length - self.sent]
        while data and self.rest is None:
            if self.sent + len(data) > AHEAD_BYTES:
                self.rest, its = socket.socketpair()
                self.rest.setblocking(False)
                await self.put((ANSWER.pack(REST, 0, 0, 0, 0, self.number, 0),), its)
                its.close()
                break
            piece = data[:INLINE_BYTES]
            await self.put((ANSWER.pack(DATA, 0, 0, 0, len(piece), self.number, 0), piece))
            data = data[len(piece):]
            self.sent += len(piece)
        if data:
            try:
                await self.worker.loop.sock_sendall(self.rest, data)
            except OSError as error:
                self.leave()
                raise Disconnected() from error
            self.sent += len(data)

    async def finish(self):
        self.is_ended = True
        if self.rest is not None:
            self.rest.close()
        is_short = (self.length is not None and self.sent < self.length and not self.is_to_head
                    and status_has_body(self.head))
        if is_short:
            print("the application sent %d of the %d bytes that content-length says"
                  % (self.sent, self.length), file=sys.stderr)
        await self.put((ANSWER.pack(CUT if is_short else END, 0, 0, 0, 0, self.number, 0),))

    async def put(self, parts, file=None):
        """Sends a message, when the socket takes it."""
        channel = self.channel.socket
        while True:
            try:
                if file is None:
                    channel.sendmsg(parts)
                else:
                    socket.send_fds(channel, parts, [file.fileno()])
                return
            except BlockingIOError:
                await self.worker.room(channel)

    async def fail(self):
        sys.stderr.write("request %s: %s %s failed\n" % (
            self.identifier, self.scope.get("method"), self.scope.get("path"))
            + traceback.format_exc())
        sys.stderr.flush()
        if self.is_ended:
            return
        if self.is_begun:
            await self.cut()
        else:
            self.is_ended = True
            head = b"500 Internal Server Error\r\nContent-Type: text/plain\r\n"
            body = b"Internal Server Error\n"
            start = ANSWER.pack(WHOLE, 0, 0, len(head), len(body), self.number, self.time())
            await self.put((start, head, body))

    async def cut(self):
        """Ends an answer short, so that the edge knows that this process has a place again."""
        self.is_ended = True
        if self.rest is not None:
            self.rest.close()
        await self.put((ANSWER.pack(CUT, 0, 0, 0, 0, self.number, 0),))


def status_has_body(head):
    return head[:3] not in (b"204", b"304")


event_heads = {}


def event_head(event):
    """The head of an answer and the length of its body; heads that come again are known."""
    key = (event["status"], *map(tuple, event.get("headers", ())))
    try:
        known = event_heads.get(key)
    except TypeError:
        # What cannot be a key can be a head.
        return checked_event_head(*key)
    if known is None:
        known = checked_event_head(*key)
        if len(event_heads) >= KNOWN_HEADS:
            event_heads.clear()
        event_heads[key] = known
    return known


def checked_event_head(status, *headers):
    """The head of an answer, checked."""
    length = None
    status = int(status)
    if not 200 <= status <= 999:
        raise ValueError("%d is no status of an answer" % status)
    lines = [b"%d %s" % (status, REASONS.get(status, b"OK"))]
    for name, value in headers:
        lower = bytes(name).lower()
        if lower in EVENT_HOP_BY_HOP:
            continue
        if lower == b"content-length":
            length = int(value)
        lines.append(bytes(name) + b": " + bytes(value))
    text = b"\r\n".join(lines)
    if text.count(b"\n") != len(lines) - 1 or text.count(b"\r") != len(lines) - 1 or b"\0" in text:
        raise ValueError("a header holds a line break or another control character")
    return text + b"\r\n", length


EVENT_HOP_BY_HOP = frozenset(name.encode() for name in HOP_BY_HOP)
REASONS = {status.value: status.phrase.encode() for status in http.HTTPStatus}


field_names = {}


def field_name(name):
    """The field whose value a variable of CGI is; None: it is that of none."""
    lower = None
    if name.startswith("HTTP_"):
        lower = name[5:].replace("_", "-").lower().encode("latin-1")
    elif name == "CONTENT_TYPE":
        lower = b"content-type"
    # Clients choose names: as many are known as they could need.
    if len(field_names) < KNOWN_HEADS:
        field_names[name] = lower
    return lower


# From here on tasks can begin at once by themselves.
BEGINS_AT_ONCE = sys.version_info >= (3, 12)


class Beginner:
    """Begins tasks with their first step in place of a later turn of the loop: most need no other."""

    def __init__(self, loop):
        self.loop = loop
        self.call_soon = loop.call_soon
        self.steps = []

    def begin(self, coroutines):
        """Begins a task for each; those are over already that nothing made wait."""
        if self.loop.get_task_factory() is not None:
            return [self.loop.create_task(coroutine) for coroutine in coroutines]
        if BEGINS_AT_ONCE:
            return [asyncio.Task(coroutine, loop=self.loop, eager_start=True)
                    for coroutine in coroutines]
        # None of them runs before all are made: what takes their first steps serves nobody else.
        self.loop.call_soon = self.note
        try:
            tasks = [asyncio.Task(coroutine, loop=self.loop) for coroutine in coroutines]
        finally:
            del self.loop.call_soon
        steps, self.steps = self.steps, []
        for step, context in steps:
            context.run(step)
        return tasks

    def note(self, call, *words, context=None):
        """Takes note of a task's first step; what else is to be called is somebody else's."""
        if words or type(getattr(call, "__self__", None)) is not asyncio.Task:
            return self.call_soon(call, *words, context=context)
        self.steps.append((call, context))


def run_events(main):
    """Runs a coroutine on the fastest event loop that the interpreter has."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    loop = uvloop.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


OWN_WORDS = ("method", "asgi", "path", "raw_path", "query_string", "headers", "client", "state")


class EventWorker(Worker):
    """Runs an application of ASGI on one event loop."""

    def run(self, application):
        self.application = application
        run_events(self.live())

    async def live(self):
        self.loop = asyncio.get_running_loop()
        self.beginner = Beginner(self.loop)
        # Those that wait for something, by number.
        self.exchanges = {}
        self.over = self.loop.create_future()
        self.rooms = {}
        self.state = {}
        self.buffer = bytearray(MESSAGE_BYTES)
        # Whether several requests have come at once, and whether they are just being begun.
        self.is_crowded = False
        self.is_taking = False
        for channel in self.channels:
            channel.socket.setblocking(False)
        if not await self.start_lifespan():
            self.tell("failed")
            sys.exit(3)
        self.lock.start()
        self.channels[0].socket.send(ANSWER.pack(READY, 0, 0, 0, 0, 0, 0))
        self.tell("ready")
        self.requests.setblocking(False)
        self.loop.add_reader(self.requests, self.take)
        await self.over
        # Nobody is there any more who could tell of clients.
        for exchange in self.exchanges.values():
            exchange.leave()
        if self.exchanges:
            await asyncio.wait([exchange.task for exchange in self.exchanges.values()])
        for channel in self.channels:
            self.release(channel)
        await self.end_lifespan()

    def room(self, channel):
        """A future that is done when a socket takes more."""
        future = self.rooms.get(channel)
        if future is None:
            future = self.rooms[channel] = self.loop.create_future()
            self.loop.add_writer(channel, self.note_room, channel)
        return asyncio.shield(future)

    def note_room(self, channel):
        self.loop.remove_writer(channel)
        self.rooms.pop(channel).set_result(None)

    def take(self):
        """Takes a message with the requests that have come."""
        try:
            count, ancillary, _, _ = self.requests.recvmsg_into([self.buffer], 32)
        except BlockingIOError:
            return
        if count == 0:
            if not self.over.done():
                self.over.set_result(None)
            self.loop.remove_reader(self.requests)
            return
        message = bytes(memoryview(self.buffer)[:count])
        descriptor = struct.unpack("i", ancillary[0][2][:4])[0] if ancillary else None
        requests = requests_in(message, descriptor)
        if self.lock.is_asleep:
            self.lock.wake()
        self.is_crowded = len(requests) > 1
        self.is_taking = True
        exchanges = []
        for kind, flags, loop, number, common, own, length, data, file in requests:
            if kind == GONE:
                # The one who has gone may have come with the same message.
                self.begin(exchanges)
                exchanges = []
                exchange = self.exchanges.get(number)
                if exchange is not None:
                    exchange.leave()
                continue
            scope, identifier = self.scope(common, own)
            if flags & WEBSOCKET:
                connection = socket.socket(fileno=file)
                exchanges.append(
                    WebSocketExchange(self, loop, number, scope, identifier, connection))
                continue
            exchange = EventExchange(self, loop, number, scope, identifier, None if flags else data)
            if flags & STREAMED:
                exchange.source = EventStream(self.loop, file, data)
            elif flags:
                exchange.source = EventFile(file, length)
            exchanges.append(exchange)
        self.begin(exchanges)
        self.is_taking = False
        for channel in self.channels:
            self.release(channel)

    def hold(self, channel, message):
        """Keeps an answer until what else has come at once has begun, or what else is ready has run."""
        if not channel.held and not self.is_taking:
            self.loop.call_soon(self.release, channel)
        channel.held.append(message)

    def release(self, channel):
        """Sends what was held, as soon as the socket takes it."""
        while channel.held:
            count = size = 0
            for message in channel.held:
                size += len(message)
                if size > HELD_BYTES:
                    break
                count += 1
            try:
                channel.socket.send(b"".join(itertools.islice(channel.held, count)))
            except BlockingIOError:
                self.room(channel.socket).add_done_callback(lambda _: self.release(channel))
                return
            for _ in range(count):
                channel.held.popleft()

    def begin(self, exchanges):
        tasks = self.beginner.begin([exchange.serve() for exchange in exchanges])
        for exchange, task in zip(exchanges, tasks):
            if task.done():
                self.note_end()
            else:
                exchange.task = task
                self.exchanges[exchange.number] = exchange
                task.add_done_callback(functools.partial(self.forget, exchange.number))

    def forget(self, number, _):
        self.exchanges.pop(number)
        self.note_end()

    def note_end(self):
        if self.limits.is_set:
            self.limits.count()

    def scope(self, common, own):
        """The scope of a request, and by what it is known: ASGI, HTTP connection scope."""
        scope, root, headers = self.known.get(common) or self.take_apart(common)
        scope, headers = scope.copy(), headers.copy()
        (scope["method"], path, query, target, length, address, port, identifier
         ) = own.decode("latin-1").split("\0")
        if not path.isascii():
            path = path.encode("latin-1").decode("utf-8", "replace")
        if length:
            headers.append((b"content-length", length.encode("latin-1")))
        scope["asgi"] = {"version": "3.0", "spec_version": "2.4"}
        scope["path"] = root + path if root else path
        scope["raw_path"] = target.partition("?")[0].encode("latin-1")
        scope["query_string"] = query.encode("latin-1")
        scope["headers"] = headers
        scope["client"] = (address, int(port or 0))
        scope["state"] = self.state.copy()
        return scope, identifier

    def take_apart(self, common):
        """The scope as far as requests have it in common, the part of the path in front, and the fields."""
        words = common.decode("latin-1").split("\0")
        environ = dict(zip(words[0::2], words[1::2]))
        headers = []
        for name, value in environ.items():
            try:
                lower = field_names[name]
            except KeyError:
                lower = field_name(name)
            if lower is not None:
                headers.append((lower, value.encode("latin-1")))
        root = environ["SCRIPT_NAME"].encode("latin-1").decode("utf-8", "replace")
        scope = {
            "type": "http",
            "http_version": environ["SERVER_PROTOCOL"][5:].replace("2.0", "2"),
            "scheme": environ["wsgi.url_scheme"],
            "root_path": root,
            "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"] or "0")),
        }
        # What each request has of its own replaces these: no copy has to grow for it.
        scope.update(dict.fromkeys(OWN_WORDS))
        known = scope, root, headers
        self.remember(common, known)
        return known

    # Lifespan

    async def start_lifespan(self):
        """Lets the application begin; whether it has."""
        self.lifespan_in = asyncio.Queue()
        self.started = self.loop.create_future()
        self.ended = self.loop.create_future()
        self.lifespan = self.loop.create_task(self.live_through())
        self.lifespan_in.put_nowait({"type": "lifespan.startup"})
        return await self.started

    async def live_through(self):
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"},
                 "state": self.state}
        try:
            await self.application(scope, self.lifespan_in.get, self.take_lifespan)
        except BaseException:
            # Who knows nothing of it says so by an error, unless it had begun.
            if self.started.done() and not self.ended.done() and self.over.done():
                traceback.print_exc()
        for future, value in ((self.started, True), (self.ended, None)):
            if not future.done():
                future.set_result(value)

    async def take_lifespan(self, event):
        kind = event["type"]
        if kind in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            print("%s: %s" % (kind, event.get("message", "")), file=sys.stderr)
        future = self.started if kind.startswith("lifespan.startup") else self.ended
        if not future.done():
            future.set_result(not kind.endswith("failed"))

    async def end_lifespan(self):
        self.lifespan_in.put_nowait({"type": "lifespan.shutdown"})
        await self.ended
        self.lifespan.cancel()
