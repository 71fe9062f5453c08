"""Runs a Python application for Martlet, which starts this file and gives it open sockets.

Descriptors: 3 tells the supervisor, 4 takes what is printed, 5 brings requests, 6 is this file, and
from 7 on there is one for the answers to each loop of the edge. Where the application is loaded before,
5 brings what is asked for, with the descriptors of the copy: those of 3, 4, 5 and from 7 on. Messages
pass whole; one holds several requests, or several answers, where there is more than one at a time.
Numbers are little-endian.

request  kind 1 (2: the client has gone), loop, flags (1: the body is a file, 2: a socket is there
         through which a WebSocket passes, 4: one from which the body comes), length of what is
         common, of what is its own, identifier, body length; then what it has in common with others
         of its client, KEY NUL VALUE NUL...; what is its own, method NUL path NUL query NUL target NUL
         content length NUL address NUL port NUL name in logs; and the body unless it is a file, or as
         much of it as has come
body     1 and a part of it, up to the end, which is 0; without that the client has gone
answer   kind, flags (1: the head has Content-Length), 0, head length, content length, identifier,
         microseconds since the application had the request; then the head, "200 OK" CR LF "Name: value"
         CR LF..., and content; of kind 8: how often it was looked, and how many microseconds threads
         have waited for the lock
"""
import faulthandler, importlib, io, os, random, resource, signal, socket, stat, struct, sys, threading
import time, traceback
from collections import deque
from time import perf_counter

REQUEST = struct.Struct("<BBHHHQQ")
ANSWER = struct.Struct("<BBHIIQI")
REQUEST_BYTES, ANSWER_BYTES = REQUEST.size, ANSWER.size
WHOLE, HEAD, DATA, END, CUT, REST, READY, LOCK = 1, 2, 3, 4, 5, 6, 7, 8
GONE = 2
IN_FILE, WEBSOCKET, STREAMED = 1, 2, 4
HAS_LENGTH = 1
LONGEST = 0xFFFFFFFF
MESSAGE_BYTES = 131072
INLINE_BYTES = 65536
AHEAD_BYTES = 262144
# What a message of a body has at most.
PIECE_BYTES = 65537
# Up to here a copy costs less than a message in parts, or of its own.
COPIED_BYTES = 16384
# What is quick goes with the answers behind it, where these are to be had at once: so many, in messages of
# so many bytes.
HELD_COUNT = 16
HELD_BYTES = 131072
HELD_MICROSECONDS = 200
KNOWN_HEADS = 256
# What clients say again and again is taken apart once: of so many, with so many bytes at most.
KNOWN_COMMON = 256
COMMON_BYTES = 2048
# What says how a message passes on is for Martlet alone.
HOP_BY_HOP = frozenset((
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade"))


class Disconnected(OSError):
    """The client has gone: the rest of its request does not come, and nobody wants the answer."""

    def __init__(self):
        super().__init__("the client has left")


def is_caused_by_leaving(error):
    """Whether an error is what became of the client's leaving, which is nobody's fault."""
    for _ in range(16):
        if error is None or isinstance(error, Disconnected):
            break
        error = error.__cause__ or error.__context__
    return isinstance(error, Disconnected)


class Body(io.RawIOBase):
    """A body that lies in a file, up to its length."""

    def __init__(self, descriptor, length):
        self.file, self.left, self.at = descriptor, length, 0

    def readable(self):
        return True

    def readinto(self, target):
        count = min(len(target), self.left)
        if count == 0:
            return 0
        data = os.pread(self.file, count, self.at)
        target[:len(data)] = data
        self.at += len(data)
        self.left -= len(data)
        return len(data)

    def close(self):
        if not self.closed:
            os.close(self.file)
        super().close()


class StreamedBody(io.RawIOBase):
    """A body that comes while it is read."""

    def __init__(self, descriptor, early):
        self.socket = socket.socket(fileno=descriptor)
        self.socket.setblocking(True)
        self.piece = memoryview(early)
        self.is_over = False

    def readable(self):
        return True

    def readinto(self, target):
        while not self.piece and not self.is_over:
            message = self.socket.recv(PIECE_BYTES)
            if not message:
                raise Disconnected()
            self.is_over = message[0] == 0
            self.piece = memoryview(message)[1:]
        count = min(len(target), len(self.piece))
        target[:count] = self.piece[:count]
        self.piece = self.piece[count:]
        return count

    def close(self):
        self.socket.close()
        super().close()


class FileWrapper:
    """What `wsgi.file_wrapper` makes of a file: PEP 3333, platform-specific file handling."""

    def __init__(self, file, block_size=INLINE_BYTES):
        self.file, self.block_size = file, block_size
        if hasattr(file, "close"):
            self.close = file.close

    def __iter__(self):
        return self

    def __next__(self):
        data = self.file.read(self.block_size)
        if data:
            return data
        raise StopIteration


def requests_in(message, descriptor):
    """The requests in a message: kind, flags, loop, number, common, own, body length, body, descriptor."""
    requests = []
    at, end = 0, len(message)
    while at < end:
        kind, loop, flags, common_size, own_size, number, length = REQUEST.unpack_from(message, at)
        at += REQUEST_BYTES
        own = at + common_size
        body = own + own_size
        after = body if flags == IN_FILE else body + length
        requests.append((kind, flags, loop, number, message[at:own], message[own:body], length,
                         message[body:after], descriptor))
        at = after
    return requests


class Channel:
    """Where the answers to one loop go."""

    def __init__(self, number):
        self.socket = socket.socket(fileno=number)
        self.socket.setblocking(True)
        # A message that has no room in an empty socket is refused, and the machine may have little by default.
        if self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) < 2 * HELD_BYTES:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * HELD_BYTES)
        self.held = deque()
        self.lock = threading.Lock()

    def flush(self):
        """Sends what was held; when this returns all of it has gone, whichever thread has sent it."""
        with self.lock:
            parts, total = [], 0
            while self.held:
                size, answer = self.held.popleft()
                if parts and total + size > HELD_BYTES:
                    self.send_together(parts, total)
                    parts, total = [], 0
                parts += answer
                total += size
            if parts:
                self.send_together(parts, total)

    def send_together(self, parts, total):
        """Sends parts in one message; where they are short, a copy costs less than their number."""
        if total < COPIED_BYTES:
            self.socket.send(b"".join(parts))
        else:
            self.socket.sendmsg(parts)

    def take_back(self, held):
        """Whether what was held last had not gone, and is not held any more."""
        with self.lock:
            if not self.held or self.held[-1] is not held:
                return False
            self.held.pop()
            return True

    def send(self, parts, descriptors=()):
        if descriptors:
            socket.send_fds(self.socket, parts, list(descriptors))
        else:
            self.socket.sendmsg(parts)


class Answer:
    """The answer to one request."""

    head = None
    is_sent = False
    length = None
    sent = 0
    rest = None
    # The first piece, and the message with it that is held.
    first = None
    held = None

    def __init__(self, worker, channel, number, is_to_head):
        self.worker, self.channel, self.number = worker, channel, number
        self.is_to_head = is_to_head
        # As long as this is not empty, another thread sends what is held where this one takes its time.
        self.tenure = worker.tenure
        self.begun = perf_counter()

    def time(self):
        """Microseconds since the request came, for the access log."""
        taken = int((perf_counter() - self.begun) * 1e6)
        return taken if taken < LONGEST else LONGEST

    def start(self, status, headers, exc_info=None):
        """What the application gets as `start_response`."""
        if exc_info:
            try:
                if self.is_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.head is not None:
            raise AssertionError("start_response() was called twice without exc_info")
        self.head, self.length = head_of(status, headers)
        return self.write_early

    def write_early(self, data):
        """What the application gets of `start_response`, and calls before it has an answer to return."""
        if data:
            self.write(data)

    def send_whole(self, body):
        self.is_sent = True
        head, channel, worker = self.head, self.channel, self.worker
        taken = self.time()
        count = len(body)
        start = ANSWER.pack(WHOLE, 0 if self.length is None else HAS_LENGTH, 0, len(head), count,
                            self.number, taken)
        size = ANSWER_BYTES + len(head) + count
        if size >= COPIED_BYTES:
            channel.socket.sendmsg((start, head, body))
            return
        held = channel.held
        # The next request is there, and whoever answers this one answers it.
        if taken < HELD_MICROSECONDS and worker.ready and self.tenure:
            held.append((size, (start, head, body)))
            if len(held) >= HELD_COUNT or not self.tenure:
                channel.flush()
        elif held:
            held.append((size, (start, head, body)))
            channel.flush()
        else:
            channel.socket.send(start + head + body)

    def write(self, data):
        """Sends a piece; what goes beyond the bound waits until the client has taken the rest."""
        if self.length is not None:
            data = data[:self.length - self.sent]
        if not self.is_sent:
            data = self.begin(data)
        elif self.held:
            # What follows must not be faster.
            self.held = None
            self.channel.flush()
        while data and self.rest is None:
            if self.sent + len(data) > AHEAD_BYTES:
                self.open_rest()
                break
            piece = data[:INLINE_BYTES]
            self.channel.send((ANSWER.pack(DATA, 0, 0, 0, len(piece), self.number, 0), piece))
            data = data[len(piece):]
            self.sent += len(piece)
        if data:
            try:
                self.rest.sendall(data)
            except OSError as error:
                raise Disconnected() from error
            self.sent += len(data)

    def begin(self, data):
        """Sends the head with the first piece, or holds it: most answers end there. Returns what is left."""
        self.is_sent = True
        head, taken = self.head, self.time()
        piece = data[:INLINE_BYTES]
        self.sent += len(piece)
        start = ANSWER.pack(HEAD, 0 if self.length is None else HAS_LENGTH, 0, len(head), len(piece),
                            self.number, taken)
        size = ANSWER_BYTES + len(head) + len(piece)
        if not self.tenure or taken >= HELD_MICROSECONDS or size >= COPIED_BYTES:
            self.channel.send((start, head, piece))
            return data[len(piece):]
        self.first, self.held = piece, (size, (start, head, piece))
        self.channel.held.append(self.held)
        # Whoever takes the turn sends what is held after that.
        if not self.tenure:
            self.channel.flush()
        return b""

    def open_rest(self):
        """Opens what the rest of a long answer goes through, as fast as the client takes it."""
        self.rest, its = socket.socketpair()
        start = ANSWER.pack(REST, 0, 0, 0, 0, self.number, 0)
        self.channel.send((start,), (its.fileno(),))
        its.close()

    def send_file(self, number, offset, count):
        """Has the kernel send a part of a file; what it holds does not pass through the interpreter."""
        self.write(os.pread(number, INLINE_BYTES, offset))
        if self.rest is None:
            self.open_rest()
        while self.sent < count:
            try:
                sent = os.sendfile(self.rest.fileno(), number, offset + self.sent, count - self.sent)
            except OSError as error:
                raise Disconnected() from error
            if sent == 0:
                break
            self.sent += sent

    def finish(self):
        """Ends an answer that was sent in pieces; False: they are less than Content-Length says."""
        is_short = self.length is not None and self.sent < self.length and not self.is_to_head
        if is_short:
            self.cut()
        elif self.held and self.channel.take_back(self.held):
            # All of it is there, so that its length is known.
            self.send_whole(self.first)
        else:
            self.end(END)
        return not is_short

    def cut(self):
        """Ends an answer before it is whole."""
        self.end(CUT)

    def end(self, kind):
        if self.rest is not None:
            self.rest.close()
        if self.held:
            self.channel.flush()
        self.channel.send((ANSWER.pack(kind, 0, 0, 0, 0, self.number, 0),))


heads = {}


def head_of(status, headers):
    """The head as bytes and the length of the body; heads that come again are known."""
    try:
        key = (status, *headers)
        known = heads.get(key)
    except TypeError:
        return checked_head(status, headers)
    if known is None:
        known = checked_head(status, headers)
        if len(heads) >= KNOWN_HEADS:
            heads.clear()
        heads[key] = known
    return known


def checked_head(status, headers):
    """The head, checked: PEP 3333, the start_response callable."""
    if type(status) is not str or len(status) < 4 or not status[:3].isdigit() or status[3] != " ":
        raise ValueError("a status is text like '200 OK', not %r" % (status,))
    length = None
    lines = [status]
    for name, value in headers:
        if type(name) is not str or type(value) is not str:
            raise TypeError("a header is two texts, not %r" % ((name, value),))
        lower = name.lower()
        if lower in HOP_BY_HOP:
            continue
        if lower == "content-length":
            length = int(value)
        lines.append(name + ": " + value)
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise ValueError("a header holds a line break or another control character")
    return (text + "\r\n").encode("latin-1"), length
