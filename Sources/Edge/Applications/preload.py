

# Workers that begin with the application loaded: this file goes on where lock.py ends.

import gc, warnings

COPY_BYTES = 16
# As many descriptors as one message carries.
COPY_FILES = 64


class Template:
    """Has loaded the application once, and becomes a worker in each copy that is asked for.

    A copy is a child of the supervisor, since the process between the two ends at once: this process
    may end without harm to the copies, and how they end is known to whoever asked for them.
    """

    def __init__(self):
        self.status = socket.socket(fileno=3)
        self.orders = socket.socket(fileno=5)
        for number in (3, 5):
            os.set_inheritable(number, False)

    def tell(self, line):
        try:
            self.status.sendall(line.encode() + b"\n")
        except OSError:
            pass

    def run(self):
        """Makes copies until the supervisor closes the socket; returns in each copy, with its descriptors."""
        if threading.active_count() > 1:
            print("the application has started threads while it was loaded, which do not go on in its"
                  " processes: start them with the first request, or write `preload off`",
                  file=sys.stderr)
        # What the interpreter only looks at stays one for all copies.
        gc.collect()
        gc.freeze()
        self.tell("ready")
        while True:
            message, files, _, _ = socket.recv_fds(self.orders, COPY_BYTES, COPY_FILES)
            if not message:
                os._exit(0)
            try:
                number = self.copy()
            except OSError as error:
                print("the process cannot be copied: %s" % error, file=sys.stderr)
                number = b"0"
            if number is None:
                self.status.close()
                self.orders.close()
                return files
            for file in files:
                os.close(file)
            self.tell("copied " + number.decode())

    def copy(self):
        """Copies this process; the copy's number, or None in the copy."""
        sys.stdout.flush()
        sys.stderr.flush()
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # Threads of the application were spoken of.
            warnings.simplefilter("ignore", DeprecationWarning)
            between = os.fork()
            if between == 0:
                os.close(reading)
                if self.leave_copy(writing):
                    return None
        os.close(writing)
        number = os.read(reading, COPY_BYTES)
        os.close(reading)
        os.waitpid(between, 0)
        return number or b"0"

    @staticmethod
    def leave_copy(writing):
        """Copies the process between the two, which tells the copy's number and ends; true in the copy."""
        number = 0
        try:
            number = os.fork()
        except OSError:
            traceback.print_exc()
        else:
            if number == 0:
                os.close(writing)
                return True
        os.write(writing, b"%d" % number)
        os._exit(0)
