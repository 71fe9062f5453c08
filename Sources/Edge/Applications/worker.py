"""Runs a Python application for Martlet, which starts this file and gives it open sockets.

Descriptors: 3 tells the supervisor, 4 takes what is printed, 5 brings requests, 6 is this file, and
from 7 on there is one for the answers to each loop of the edge. Messages pass whole; one holds several
requests, or several answers, where there is more than one at a time. Numbers are little-endian.

request  kind 1 (2: the client has gone), loop, flags (1: the body is a file, 2: a socket is
         there through which a WebSocket passes), environment length, identifier, body length; then the environment, KEY NUL VALUE NUL..., and the body unless it is a file
answer   kind, flags (1: the head has Content-Length), 0, head length, content length, identifier,
         microseconds since the application had the request; then the head, "200 OK" CR LF "Name: value"
         CR LF..., and content
"""
import faulthandler, importlib, io, os, random, resource, signal, socket, stat, struct, sys, threading
import time, traceback
from collections import deque
from time import perf_counter

REQUEST = struct.Struct("<BBHIQQ")
ANSWER = struct.Struct("<BBHIIQI")
WHOLE, HEAD, DATA, END, CUT, REST, READY = 1, 2, 3, 4, 5, 6, 7
ASK, GONE = 1, 2
HAS_LENGTH = 1
MESSAGE_BYTES = 131072
INLINE_BYTES = 65536
AHEAD_BYTES = 262144
# Up to here a copy costs less than a message in parts.
COPIED_BYTES = 16384
# What is quick and short goes with the answers behind it, where these are to be had at once.
HELD_BYTES = 4096
HELD_COUNT = 16
HELD_MICROSECONDS = 200
KNOWN_HEADS = 256
# Requests that wait so long for something else than the processor are better answered side by side.
WAITING_SECONDS = 0.00005
WAITING_SAMPLES = 3
# How often it is looked whether a request that began as a quick one is slow.
TURN_SECONDS = 0.002
IDLE_LOOKS = 10
# What says how a message passes on is for Martlet alone.
HOP_BY_HOP = frozenset((
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade"))


class Disconnected(OSError):
    """The client has gone, so nobody wants the rest of the answer."""


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
    """The requests in a message: kind, flags, loop, number, environment, body length, body, descriptor."""
    at = 0
    while at < len(message):
        kind, loop, flags, size, number, length = REQUEST.unpack_from(message, at)
        at += REQUEST.size
        environment = message[at:at + size]
        at += size
        body = b""
        if flags == 0:
            body = message[at:at + length]
            at += length
        yield kind, flags, loop, number, environment, length, body, descriptor


class Channel:
    """Where the answers to one loop go."""

    def __init__(self, number):
        self.socket = socket.socket(fileno=number)
        self.socket.setblocking(True)
        self.held = deque()

    def flush(self):
        """Sends what was held; several threads may, and each answer goes once."""
        parts = []
        take = self.held.popleft
        try:
            while True:
                parts.append(take())
        except IndexError:
            pass
        if parts:
            self.socket.send(b"".join(parts))

    def send(self, parts, descriptors=()):
        if descriptors:
            socket.send_fds(self.socket, parts, list(descriptors))
        else:
            self.socket.sendmsg(parts)


class Answer:
    """The answer to one request."""

    __slots__ = ("channel", "number", "method", "head", "is_sent", "length", "sent", "rest", "begun",
                 "worker")

    def __init__(self, worker, channel, number, method):
        self.worker, self.channel, self.number, self.method = worker, channel, number, method
        self.head = None
        self.is_sent = False
        self.length = None
        self.sent = 0
        self.rest = None
        self.begun = perf_counter()

    def time(self):
        """Microseconds since the request came, for the access log."""
        return min(int((perf_counter() - self.begun) * 1e6), 0xFFFFFFFF)

    def send_whole(self, body):
        self.is_sent = True
        head = self.head
        flags = 0 if self.length is None else HAS_LENGTH
        taken = self.time()
        count = len(body)
        start = ANSWER.pack(WHOLE, flags, 0, len(head), count, self.number, taken)
        if count >= COPIED_BYTES:
            self.channel.socket.sendmsg((start, head, body))
            return
        channel = self.channel
        if self.worker.has_more() and taken < HELD_MICROSECONDS and count + len(head) < HELD_BYTES:
            channel.held.append(start + head + body)
            if len(channel.held) >= HELD_COUNT:
                channel.flush()
        elif channel.held:
            channel.held.append(start + head + body)
            channel.flush()
        else:
            channel.socket.send(start + head + body)

    def write(self, data):
        """Sends a piece; what goes beyond the bound waits until the client has taken the rest."""
        if self.length is not None:
            data = data[:self.length - self.sent]
        first = not self.is_sent
        self.is_sent = True
        if first:
            flags = HAS_LENGTH if self.length is not None else 0
            piece = data[:INLINE_BYTES]
            start = ANSWER.pack(
                HEAD, flags, 0, len(self.head), len(piece), self.number, self.time())
            self.channel.send((start, self.head, piece))
            data = data[len(piece):]
            self.sent += len(piece)
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
        """Ends an answer that was sent in pieces."""
        if self.rest is not None:
            self.rest.close()
        is_short = self.length is not None and self.sent < self.length and self.method != "HEAD"
        self.channel.send((ANSWER.pack(CUT if is_short else END, 0, 0, 0, 0, self.number, 0),))
        return not is_short

    def cut(self):
        if self.rest is not None:
            self.rest.close()
        self.channel.send((ANSWER.pack(CUT, 0, 0, 0, 0, self.number, 0),))


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


class Worker:
    def __init__(self, options):
        self.options = options
        self.threads = int(options.get("threads", "1"))
        self.requests = socket.socket(fileno=5)
        self.requests.setblocking(True)
        self.status = socket.socket(fileno=3)
        self.status.setblocking(True)
        count = int(options["loops"])
        self.channels = [Channel(7 + place) for place in range(count)]
        for number in [3, 5] + list(range(7, 7 + count)):
            os.set_inheritable(number, False)
        self.served = 0
        self.limits = Limits(options, self.tell)
        # Requests that have come, each with the message that it is in and where: taken by whose turn it is.
        self.ready = deque()
        # Whose turn it is to wait for requests, and what is looked at to see whether it takes too long.
        self.turn = threading.Lock()
        self.tenure = None
        self.waits = 0
        self.watch = threading.Semaphore(0)
        self.is_watch_asleep = False

    def tell(self, line):
        try:
            self.status.sendall(line.encode() + b"\n")
        except OSError:
            pass

    def run(self, application):
        self.application = application
        self.base = {
            "wsgi.version": (1, 0),
            "wsgi.multithread": self.threads > 1,
            "wsgi.multiprocess": self.options.get("processes", "1") != "1",
            "wsgi.run_once": False,
            "wsgi.errors": sys.stderr,
            "wsgi.file_wrapper": FileWrapper,
            "wsgi.input_terminated": True,
            "SERVER_SOFTWARE": "martlet",
        }
        threading.Thread(target=self.watch_turns, daemon=True).start()
        self.channels[0].send((ANSWER.pack(READY, 0, 0, 0, 0, 0, 0),))
        self.tell("ready")
        others = [
            threading.Thread(target=self.serve, name="request-%d" % place, daemon=True)
            for place in range(1, self.threads)
        ]
        for thread in others:
            thread.start()
        self.serve()
        for thread in others:
            thread.join()

    def serve(self):
        """Answers one request after the other until the edge closes the socket.

        As long as requests need nothing but the processor, one thread at a time waits for them and answers:
        with several, each request would go from thread to thread, and the interpreter's lock with it.
        """
        buffers = [bytearray(MESSAGE_BYTES)]
        ready = self.ready
        turn = self.turn
        tenure = None
        while True:
            if tenure is None:
                turn.acquire()
                tenure = [self]
            if not ready and not self.fill(buffers):
                turn.release()
                return
            request = ready.popleft()
            if self.waits >= WAITING_SAMPLES:
                tenure = None
                turn.release()
            else:
                self.tenure = tenure
                if self.is_watch_asleep:
                    self.is_watch_asleep = False
                    self.watch.release()
            if self.threads > 1 and self.served & 7 == 0:
                self.measure(request)
            else:
                self.respond(request)
            self.tenure = None
            if tenure is not None:
                try:
                    tenure.pop()
                    tenure.append(self)
                except IndexError:
                    # It took so long that another thread waits for requests by now.
                    tenure = None
            self.limits.count()

    def fill(self, buffers):
        """Waits for requests; whether any will come."""
        self.flush()
        while not self.ready:
            try:
                count, ancillary, _, _ = self.requests.recvmsg_into(buffers, 32)
            except OSError as error:
                leave("the sockets of Martlet are closed (%s): the application closes descriptors"
                      " that it has not opened, os.closerange() for one" % error, 4)
            if count == 0:
                return False
            # Other threads take what is in it while this one waits for more.
            message = bytes(memoryview(buffers[0])[:count])
            descriptor = struct.unpack("i", ancillary[0][2][:4])[0] if ancillary else None
            for request in requests_in(message, descriptor):
                if request[0] == ASK:
                    self.ready.append(request)
        return True

    def has_more(self):
        """Whether the next request is there, and answered by whoever asks."""
        return self.ready and self.waits < WAITING_SAMPLES

    def flush(self):
        for channel in self.channels:
            if channel.held:
                channel.flush()

    def measure(self, request):
        """Answers a request, and notes whether it has waited for something else than the processor."""
        begun, pauses = perf_counter(), resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        self.respond(request)
        # Who has to leave the processor to others has not waited by itself.
        has_paused = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw > pauses
        if has_paused and perf_counter() - begun > WAITING_SECONDS:
            self.waits = min(self.waits + 1, 2 * WAITING_SAMPLES)
        elif self.waits > 0:
            self.waits -= 1

    def watch_turns(self):
        """Lets another thread wait for requests when the one whose turn it is answers for too long."""
        seen = None
        idle = 0
        while True:
            time.sleep(TURN_SECONDS)
            tenure = self.tenure
            if tenure is None:
                idle += 1
                if idle > IDLE_LOOKS:
                    self.is_watch_asleep = True
                    self.watch.acquire()
                    idle = 0
                continue
            idle = 0
            if self.served == seen:
                self.flush()
                try:
                    tenure.pop()
                    self.turn.release()
                except IndexError:
                    pass
            seen = self.served

    def respond(self, request):
        """Answers a request."""
        self.served += 1
        _, _, loop, number, environment, length, body, descriptor = request
        words = environment.decode("latin-1").split("\0")
        environ = self.base.copy()
        environ.update(zip(words[0::2], words[1::2]))
        if descriptor is not None:
            body = io.BufferedReader(Body(descriptor, length), INLINE_BYTES)
        else:
            body = io.BytesIO(body)
        environ["wsgi.input"] = body
        answer = Answer(self, self.channels[loop], number, environ["REQUEST_METHOD"])
        try:
            self.answer(environ, answer)
        except Disconnected:
            pass
        except SystemExit as leaving:
            # It would end one thread of several, and nobody would know.
            leave("the application has called sys.exit() in a request; to end an answer, return",
                  leaving.code if isinstance(leaving.code, int) else 1)
        except Exception:
            self.fail(environ, answer)
        finally:
            if descriptor is not None:
                body.close()

    def answer(self, environ, answer):
        def write(data):
            if answer.head is None:
                raise AssertionError("write() was called before start_response()")
            if data:
                answer.write(data)

        def start_response(status, headers, exc_info=None):
            if exc_info:
                try:
                    if answer.is_sent:
                        raise exc_info[1].with_traceback(exc_info[2])
                finally:
                    exc_info = None
            elif answer.head is not None:
                raise AssertionError("start_response() was called twice without exc_info")
            answer.head, answer.length = head_of(status, headers)
            return write

        result = self.application(environ, start_response)
        try:
            kind = type(result)
            if kind is list or kind is tuple:
                data = result[0] if len(result) == 1 else b"".join(result)
                if not answer.is_sent and len(data) <= INLINE_BYTES:
                    self.check(answer, data)
                    answer.send_whole(data)
                    return
                if data:
                    self.check(answer, data)
                    answer.write(data)
            elif kind is FileWrapper and self.send_file(result, answer):
                pass
            else:
                for data in result:
                    if not data:
                        continue
                    self.check(answer, data)
                    if not answer.is_sent and answer.length is not None \
                            and len(data) == answer.length <= INLINE_BYTES:
                        answer.send_whole(data)
                        for _ in result:
                            pass
                        return
                    answer.write(data)
            if answer.is_sent:
                if not answer.finish():
                    print("the application sent %d of the %d bytes that Content-Length says"
                          % (answer.sent, answer.length), file=sys.stderr)
            else:
                self.check(answer, b"")
                answer.send_whole(b"")
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def send_file(self, wrapper, answer):
        """Sends a file as such; False: it is none that the kernel can send, or it is short."""
        if answer.is_sent or answer.method == "HEAD":
            return False
        try:
            number = wrapper.file.fileno()
            offset = wrapper.file.tell()
            status = os.fstat(number)
        except (AttributeError, OSError, ValueError):
            return False
        count = status.st_size - offset
        if answer.length is not None:
            count = min(count, answer.length)
        if not stat.S_ISREG(status.st_mode) or count <= INLINE_BYTES:
            return False
        self.check(answer, b"")
        answer.send_file(number, offset, count)
        return True

    @staticmethod
    def check(answer, data):
        if answer.head is None:
            raise AssertionError("the application has not called start_response()")
        if type(data) is not bytes:
            raise TypeError("the application gave %s in place of bytes" % type(data).__name__)

    def fail(self, environ, answer):
        """Tells the log, and the client what may be told."""
        text = traceback.format_exc()
        place = "request %s: %s %s failed\n" % (
            environ.get("martlet.request_id", "-"), environ["REQUEST_METHOD"],
            environ.get("PATH_INFO", ""))
        sys.stderr.write(place + text)
        sys.stderr.flush()
        try:
            if answer.is_sent:
                answer.cut()
            else:
                body = b"Internal Server Error\n"
                answer.head = b"500 Internal Server Error\r\nContent-Type: text/plain\r\n"
                answer.length = None
                answer.send_whole(body)
        except OSError:
            pass


def leave(reason, code):
    """Ends the process, and says why."""
    sys.stderr.write(reason + "\n")
    sys.stderr.flush()
    os._exit(code)


class Limits:
    """When the worker has done enough, and another is to take its place."""

    def __init__(self, options, tell):
        self.tell = tell
        spread = 1 + random.uniform(0, 0.1)
        self.requests = int(int(options.get("max_requests", "0")) * spread)
        self.memory = int(options.get("max_memory", "0"))
        age = float(options.get("max_age", "0")) * spread
        self.end = time.monotonic() + age if age else None
        self.served = 0
        self.is_told = False
        self.page = os.sysconf("SC_PAGE_SIZE")
        self.is_set = bool(self.requests or self.memory or self.end)

    def count(self):
        self.served += 1
        if not self.is_set or self.is_told:
            return
        reason = None
        if self.requests and self.served >= self.requests:
            reason = "requests %d" % self.served
        elif self.memory and self.served % 16 == 0 and self.resident() > self.memory:
            reason = "memory %d" % self.resident()
        elif self.end and time.monotonic() > self.end:
            reason = "age"
        if reason:
            self.is_told = True
            self.tell("enough " + reason)

    def resident(self):
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * self.page


def watch(tell, folder):
    """Tells when a file of the application has changed."""
    seen = {}
    while True:
        time.sleep(0.5)
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if not path:
                continue
            try:
                changed = os.stat(path).st_mtime_ns
            except OSError:
                continue
            if seen.setdefault(path, changed) != changed:
                tell("changed " + path)
                return


def find(target):
    """The application that MODULE:NAME says."""
    module, _, name = target.partition(":")
    found = importlib.import_module(module)
    for part in (name or "application").rstrip("()").split("."):
        if not hasattr(found, part):
            raise AttributeError(
                "the module %r has no %r: write MODULE:NAME, for example %s:app"
                % (module, part, module))
        found = getattr(found, part)
    if name.endswith("()"):
        found = found()
    if not callable(found):
        raise TypeError("%s is %s, which cannot be called" % (target, type(found).__name__))
    return found


def main():
    os.dup2(4, 1)
    os.dup2(4, 2)
    os.close(4)
    sys.stdout.reconfigure(line_buffering=True)
    sys.stderr.reconfigure(line_buffering=True)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kind, target = sys.argv[1:3]
    options = dict(word.split("=", 1) for word in sys.argv[3:])
    sys.argv[:] = [target]
    folder = options.get("folder", "")
    if folder:
        os.chdir(folder)
    sys.path[0] = os.getcwd()
    worker = (EventWorker if kind == "asgi" else Worker)(options)
    try:
        application = find(target)
    except BaseException:
        traceback.print_exc()
        worker.tell("failed")
        sys.exit(3)
    if options.get("reload") == "on":
        threading.Thread(target=watch, args=(worker.tell, folder), daemon=True).start()
    worker.run(application)
