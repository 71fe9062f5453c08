# Applications by WSGI, and what all workers do: this file goes on where messages.py ends.

# Requests that wait so long for something else than the processor are better answered side by side.
WAITING_SECONDS = 0.00005
WAITING_SAMPLES = 3
# How often it is looked whether a request that began as a quick one is slow.
TURN_SECONDS = 0.002
IDLE_LOOKS = 10
OWN_VARIABLES = (
    "REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "REQUEST_URI", "REMOTE_ADDR",
    "martlet.request_id", "wsgi.input")


class Worker:
    """What all workers have; itself one of WSGI."""

    def __init__(self, options, status, requests, answers):
        """Speaks to supervisor and edge through sockets, given by their numbers."""
        self.options = options
        self.threads = int(options.get("threads", "1"))
        self.requests = socket.socket(fileno=requests)
        self.requests.setblocking(True)
        self.status = socket.socket(fileno=status)
        self.status.setblocking(True)
        self.channels = [Channel(number) for number in answers]
        for number in (status, requests, *answers):
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
        self.lock = LockWatch(self.channels[0])
        # What requests have in common, taken apart.
        self.known = {}

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
        self.lock.start()
        threading.Thread(target=self.watch_turns, name="turns", daemon=True).start()
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
            # It may have been another thread's for long where a request took too long.
            if not tenure:
                turn.acquire()
                tenure = [self]
            if not ready and not self.fill(buffers):
                self.give(tenure)
                return
            try:
                request = ready.popleft()
            except IndexError:
                # The turn was another's just then, who has taken it.
                continue
            if self.waits >= WAITING_SAMPLES:
                # Nobody looks after what is held from here on.
                self.flush()
                self.tenure = None
                self.give(tenure)
                tenure = None
            else:
                self.tenure = tenure
                if self.is_watch_asleep:
                    self.is_watch_asleep = False
                    self.watch.release()
            if self.threads > 1 and self.served & 7 == 0:
                self.measure(request)
            else:
                self.respond(request)
            if self.limits.is_set:
                self.limits.count()

    def give(self, tenure):
        """Lets another thread have the turn, unless it was given away already."""
        try:
            tenure.pop()
        except IndexError:
            return
        self.turn.release()

    def fill(self, buffers):
        """Waits for requests; whether any will come."""
        self.tenure = None
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
            self.ready.extend(requests_in(message, descriptor))
            if self.lock.is_asleep:
                self.lock.wake()
        return True

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
                # In this order: what is held from now on is sent by who holds it.
                self.give(tenure)
                self.flush()
            seen = self.served

    def respond(self, request):
        """Answers a request."""
        self.served += 1
        # Applications of WSGI are not told of clients that have gone: each is a request.
        _, flags, loop, number, common, own, length, body, descriptor = request
        environ = (self.known.get(common) or self.take_apart(common)).copy()
        (method, environ["PATH_INFO"], environ["QUERY_STRING"], environ["REQUEST_URI"],
         content_length, environ["REMOTE_ADDR"], port, environ["martlet.request_id"]
         ) = own.decode("latin-1").split("\0")
        environ["REQUEST_METHOD"] = method
        if content_length:
            environ["CONTENT_LENGTH"] = content_length
        if port:
            environ["REMOTE_PORT"] = port
        if flags:
            body = Body(descriptor, length) if flags & IN_FILE else StreamedBody(descriptor, body)
            body = io.BufferedReader(body, INLINE_BYTES)
        else:
            body = io.BytesIO(body)
        environ["wsgi.input"] = body
        answer = Answer(self, self.channels[loop], number, method == "HEAD")
        try:
            self.answer(environ, answer)
        except SystemExit as leaving:
            # It would end one thread of several, and nobody would know.
            leave("the application has called sys.exit() in a request; to end an answer, return",
                  leaving.code if isinstance(leaving.code, int) else 1)
        except Exception as error:
            if is_caused_by_leaving(error):
                self.cut(answer)
            else:
                self.fail(environ, answer)
        finally:
            if flags:
                body.close()

    def take_apart(self, common):
        """The environment as far as requests have it in common."""
        words = common.decode("latin-1").split("\0")
        environ = self.base.copy()
        environ.update(zip(words[0::2], words[1::2]))
        # What each request has of its own replaces these: no copy has to grow for it.
        environ.update(dict.fromkeys(OWN_VARIABLES, ""))
        self.remember(common, environ)
        return environ

    def remember(self, common, parts):
        """Keeps what was taken apart, since the client's next request says the same."""
        if len(common) > COMMON_BYTES:
            return
        if len(self.known) >= KNOWN_COMMON:
            self.known.clear()
        self.known[common] = parts

    def answer(self, environ, answer):
        result = self.application(environ, answer.start)
        kind = type(result)
        if kind is list and len(result) == 1 and not answer.is_sent:
            # Most answers: a list has nothing that is to be closed.
            data = result[0]
            self.check(answer, data)
            if len(data) <= INLINE_BYTES:
                return answer.send_whole(data)
        try:
            if kind is list or kind is tuple:
                data = b"".join(result)
                if not answer.is_sent and len(data) <= INLINE_BYTES:
                    self.check(answer, data)
                    return answer.send_whole(data)
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
        if answer.is_sent or answer.is_to_head:
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
        if answer.is_sent:
            return self.cut(answer)
        answer.head = b"500 Internal Server Error\r\nContent-Type: text/plain\r\n"
        answer.length = None
        try:
            answer.send_whole(b"Internal Server Error\n")
        except OSError:
            pass

    @staticmethod
    def cut(answer):
        """Ends an answer short, so that the edge knows that this process has a place again."""
        try:
            answer.cut()
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
        """Counts a request, if there is a limit."""
        self.served += 1
        if self.is_told:
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


def changed_file(seen):
    """A file of the application that is another than when it was first looked at; None: none is."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if not path:
            continue
        try:
            changed = os.stat(path).st_mtime_ns
        except OSError:
            continue
        if seen.setdefault(path, changed) != changed:
            return path
    return None


def watch(tell, seen):
    """Tells when a file of the application has changed."""
    while True:
        time.sleep(0.5)
        path = changed_file(seen)
        if path is not None:
            return tell("changed " + path)


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


def loaded(target, tell):
    """The application that MODULE:NAME says; ends the process where there is none."""
    try:
        return find(target)
    except BaseException:
        traceback.print_exc()
        tell("failed")
        sys.exit(3)


def take_output(number):
    """Lets what is printed go there."""
    os.dup2(number, 1)
    os.dup2(number, 2)
    os.close(number)


def main():
    take_output(4)
    sys.stdout.reconfigure(line_buffering=True)
    sys.stderr.reconfigure(line_buffering=True)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kind, target = sys.argv[1:3]
    options = dict(word.split("=", 1) for word in sys.argv[3:])
    sys.argv[:] = [target]
    if options.get("folder"):
        os.chdir(options["folder"])
    sys.path[0] = os.getcwd()
    make = EventWorker if kind == "asgi" else Worker
    seen = {}
    if options.get("preload") == "on":
        template = Template()
        application = loaded(target, template.tell)
        changed_file(seen)
        status, output, requests, *answers = template.run()
        take_output(output)
        worker = make(options, status, requests, answers)
    else:
        worker = make(options, 3, 5, range(7, 7 + int(options["loops"])))
        application = loaded(target, worker.tell)
    if options.get("reload") == "on":
        threading.Thread(target=watch, args=(worker.tell, seen), daemon=True).start()
    worker.run(application)
