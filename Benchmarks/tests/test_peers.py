"""The proxies get the same job, and one that does not do it is not measured."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

from benchmarks import Stub, answering
from harness import peers, probe
from harness.h2o import H2O
from harness.martlet import Form, Martlet
from harness.peers import HAProxy, Nginx, Running, Upstream
from harness.processes import BenchmarkError, Stage, free_port
from harness.site import BODIES, BULK, HTTP2, LARGE, PLAIN, REALISTIC, STREAM, TLS, Site

SITES = {
    "plain": PLAIN,
    "large": LARGE,
    "TLS": TLS,
    "realistic": REALISTIC,
    "many hosts": Site(hosts=2_000),
    "layer 4": STREAM,
    "layer 4 in bulk": BULK,
}


def martlets(site):
    """All files of Martlet's configuration in one text."""
    files = Martlet(pathlib.Path("m")).files(site, 1, 2, pathlib.Path("/f"))
    return "\n".join(files.values())


class ConfigurationTests(unittest.TestCase):
    def check(self, peer, words):
        for title, site in SITES.items():
            with self.subTest(title), tempfile.TemporaryDirectory() as name:
                command = peer.prepare(site, free_port(), free_port(), pathlib.Path(name))
                # The log's redirection stands before the program itself.
                program = command[command.index(peer.name):]
                done = subprocess.run([*program, *words], capture_output=True, text=True,
                                      timeout=60, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertNotIn("[ALERT]", done.stderr)

    def test_nginx_takes_every_configuration(self):
        self.check(Nginx(), ["-t"])

    def test_haproxy_takes_every_configuration(self):
        self.check(HAProxy(), ["-c"])

    def test_all_have_the_same_routes(self):
        folder = pathlib.Path("/nowhere")
        nginx = Nginx().configuration(REALISTIC, 1, 2, folder)
        martlet = martlets(REALISTIC)
        self.assertEqual(nginx.count("proxy_pass"), 200)
        self.assertEqual(len(HAProxy.routes(REALISTIC).splitlines()), 200)
        self.assertEqual(martlet.count("proxy backend"), 200)

    def test_all_have_the_same_rules(self):
        folder = pathlib.Path("/nowhere")
        texts = {
            "nginx": Nginx().configuration(REALISTIC, 1, 2, folder),
            "haproxy": HAProxy().configuration(REALISTIC, 1, 2, folder),
            "martlet": martlets(REALISTIC),
        }
        for field in ("X-Real-IP", "X-Request-ID", "Accept-Encoding", "X-Powered-By",
                      "X-Content-Type-Options", "Strict-Transport-Security"):
            for name, text in texts.items():
                self.assertIn(field, text, name)

    def test_blocks_of_martlets_configuration_close(self):
        for title, site in SITES.items():
            with self.subTest(title):
                depth = 0
                for line in martlets(site).splitlines():
                    depth += line.endswith("{") - (line.strip() == "}")
                    self.assertGreaterEqual(depth, 0)
                self.assertEqual(depth, 0)

    def test_many_servers_stand_in_files_that_martlet_reads(self):
        files = Martlet(pathlib.Path("m")).files(Site(hosts=10_000), 1, 2, pathlib.Path("/f"))
        self.assertEqual(martlets(Site(hosts=10_000)).count("server host"), 10_000)
        for name, text in files.items():
            self.assertLess(len(text), 1 << 20, name)
        self.assertIn("include servers-*.conf", files["martlet.conf"])

    def test_martlet_without_configuration_has_no_routes(self):
        martlet = Martlet(pathlib.Path("m"), Form.PROXY)
        self.assertIn("--to", martlet.prepare(PLAIN, 1, 2, pathlib.Path("/f")))
        with self.assertRaises(BenchmarkError):
            martlet.prepare(REALISTIC, 1, 2, pathlib.Path("/f"))

    def test_a_body_has_its_size_and_no_period_of_its_own(self):
        for size in (0, 1, 100, 10_240):
            self.assertEqual(len(peers.body(size)), size)


class Alive:
    def ensure_alive(self):
        """Always."""


def probed(port):
    probe.check(Running("stub", Alive(), port, pathlib.Path("/nowhere")), PLAIN)


class ProbeTests(unittest.TestCase):
    def refuses(self, answer, why):
        with Stub(answering(answer)) as stub:
            with self.assertRaisesRegex(BenchmarkError, why):
                probed(stub.port)

    def test_another_status_is_seen(self):
        self.refuses(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404")

    def test_another_body_is_seen(self):
        body = b"x" * BODIES["/100"]
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
        self.refuses(head + body, "another body")

    def test_a_connection_that_is_not_kept_is_seen(self):
        def answer(head):
            size = BODIES[head.split()[1].decode()]
            fields = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
            return fields + peers.body(size)

        self.refuses(answer, "closed a connection")

    def test_nobody_there_is_seen(self):
        with self.assertRaisesRegex(BenchmarkError, "does not answer"):
            probed(free_port())

    def test_nginx_and_haproxy_do_every_job(self):
        for title, site in SITES.items():
            with self.subTest(title), Stage() as stage:
                upstream = Upstream(stage)
                for peer in (Nginx(), HAProxy()):
                    probe.check(peer.start(stage, site, upstream.port), site)

    @unittest.skipUnless(shutil.which("h2o"), "h2o is installed by `scripts/setup bench`")
    def test_h2o_does_the_job_of_http2(self):
        with Stage() as stage:
            upstream = Upstream(stage)
            probe.check(H2O().start(stage, HTTP2, upstream.port), HTTP2)

    def test_a_job_that_h2o_is_not_configured_for_is_refused(self):
        with self.assertRaisesRegex(BenchmarkError, "HTTP/2 alone"):
            H2O().prepare(TLS, 1, 2, pathlib.Path("/nowhere"))

    def test_a_realistic_job_half_done_is_seen(self):
        half = Site(hosts=REALISTIC.hosts, paths=REALISTIC.paths)
        with Stage() as stage:
            running = Nginx().start(stage, half, Upstream(stage).port)
            with self.assertRaisesRegex(BenchmarkError, "X-Forwarded-For"):
                probe.check(running, REALISTIC)


if __name__ == "__main__":
    unittest.main()
