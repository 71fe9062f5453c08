"""Floods are what they say, and end when the server does."""

import unittest

from benchmarks import Stub
from harness.floods import FLOODS, PREFACE, Attack, frame, headers


class FloodTests(unittest.TestCase):
    def test_frames_have_their_length_in_front(self):
        self.assertEqual(frame(6, 1, 0, b"12345678"), b"\0\0\x08\x06\x01\0\0\0\0" + b"12345678")
        self.assertEqual(headers(3, b"\x82")[:9], b"\0\0\x01\x01\x05\0\0\0\x03")

    def test_every_kind_is_made_of_whole_frames_on_odd_streams(self):
        for flood in FLOODS:
            with self.subTest(flood.name):
                pieces = flood.pieces()
                rest = flood.settings + flood.before + next(pieces) + next(pieces)
                while rest:
                    length = int.from_bytes(rest[:3], "big")
                    stream = int.from_bytes(rest[5:9], "big")
                    self.assertTrue(stream == 0 or stream % 2 == 1)
                    self.assertLessEqual(length, 16_384)
                    self.assertGreaterEqual(len(rest), 9 + length)
                    rest = rest[9 + length :]

    def test_an_attack_ends_with_its_connection(self):
        def serve(connection):
            received = b""
            while len(received) < 100_000:
                received += connection.recv(65_536)
            self.assertTrue(received.startswith(PREFACE))

        with Stub(serve) as stub:
            attack = Attack(stub.port, FLOODS[0])
            self.assertTrue(attack.run(10))
            attack.close()

    def test_an_attack_ends_in_time_where_nobody_closes(self):
        with Stub(lambda connection: connection.recv(1) and connection.recv(1)) as stub:
            attack = Attack(stub.port, FLOODS[3])
            attack.run(0.05)
            attack.close()


if __name__ == "__main__":
    unittest.main()
