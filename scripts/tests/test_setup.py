"""What the set-up promises, without installing anything."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import setup  # noqa: E402


def answer(stdout="", code=0):
    """A stand-in for subprocess.run that keeps what it was asked."""
    def run(command, **_):
        run.asked.append(command)
        return subprocess.CompletedProcess(command, code, stdout, "")
    run.asked = []
    return run


def everywhere(name):
    return "/usr/bin/" + name


def nowhere(name):
    return None


class SwiftTests(unittest.TestCase):
    def test_reads_the_version_however_it_is_decorated(self):
        self.assertEqual(setup.swift_version("Swift version 6.3.1 (swift-6.3.1-RELEASE)"), (6, 3))
        self.assertEqual(setup.swift_version("Apple Swift version 6.10 (x)\nTarget: y"), (6, 10))
        self.assertIsNone(setup.swift_version("command not found"))

    def test_refuses_what_cannot_build_and_says_where_to_get_what_can(self):
        for run, which in [
            (answer("Swift version 6.2.9"), everywhere),
            (answer("Swift version 5.10"), everywhere),
            (answer("?"), everywhere),
            (answer("Swift version 6.3"), nowhere),
        ]:
            with self.assertRaisesRegex(setup.SetupError, "swift.org/install"):
                setup.check_swift(run, which)

    def test_accepts_the_version_and_newer(self):
        self.assertEqual(setup.check_swift(answer("Swift version 6.3"), everywhere), (6, 3))
        self.assertEqual(setup.check_swift(answer("Swift version 7.0"), everywhere), (7, 0))


class PackageTests(unittest.TestCase):
    def test_groups_are_joined_without_repeats(self):
        names = list(setup.wanted(["test", "bench"]))
        self.assertEqual(len(names), len(set(names)))
        self.assertIn("varnish", names)
        self.assertIn("wrk", names)

    def test_a_group_names_a_package_once(self):
        for group, packages in setup.GROUPS.items():
            names = [name for name, _ in packages]
            self.assertEqual(sorted(set(names)), sorted(names), group)

    def test_an_unknown_group_names_the_known_ones(self):
        with self.assertRaisesRegex(setup.SetupError, "run, test, bench"):
            setup.wanted(["tests"])

    def test_only_what_dpkg_calls_installed_is_there(self):
        listing = "nginx installed\nwrk config-files\ncurl installed\nvarnish not-installed\nodd\n"
        run = answer(listing, code=1)
        lacking = setup.missing(["nginx", "wrk", "curl", "varnish", "ab"], run, everywhere)
        self.assertEqual(lacking, ["wrk", "varnish", "ab"])
        self.assertEqual(len(run.asked), 1)

    def test_without_apt_it_names_the_packages(self):
        with self.assertRaisesRegex(setup.SetupError, "Debian 12.*nginx"):
            setup.missing(["nginx"], answer(), nowhere)


class InstallTests(unittest.TestCase):
    def test_a_user_without_sudo_gets_the_command_to_run(self):
        with self.assertRaisesRegex(setup.SetupError, "apt-get install -y .* wrk valgrind"):
            setup.install(["wrk", "valgrind"], answer(), nowhere, uid=1000)

    def test_a_user_with_sudo_uses_it_and_root_does_not(self):
        run = answer()
        setup.install(["wrk"], run, everywhere, uid=1000)
        setup.install(["wrk"], run, everywhere, uid=0)
        self.assertEqual([command[0] for command in run.asked], ["sudo", "sh"])

    def test_a_failed_install_gives_the_command_to_run(self):
        with self.assertRaisesRegex(setup.SetupError, "Run as root: apt-get update"):
            setup.install(["wrk"], answer(code=100), everywhere, uid=0)


class ScriptTests(unittest.TestCase):
    """The install script, run with a stand-in for apt-get and systemctl."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.policy = self.folder / "policy-rc.d"
        self.log = self.folder / "log"

    def play(self, packages, apt):
        """Runs the script where `apt-get` is the shell lines given; returns exit code and calls."""
        programs = self.folder / "bin"
        programs.mkdir()
        for name, body in [("apt-get", apt), ("systemctl", "")]:
            program = programs / name
            program.write_text('#!/bin/sh\necho {} "$@" >> {}\n{}\n'.format(name, self.log, body))
            program.chmod(0o755)
        path = str(programs) + ":" + os.environ["PATH"]
        done = subprocess.run(
            ["sh", "-c", setup.install_script(packages, self.policy)],
            env={"PATH": path}, capture_output=True, text=True,
        )
        return done.returncode, self.log.read_text().splitlines()

    def test_services_are_held_back_while_installing_and_nothing_stays_behind(self):
        held = self.folder / "held"
        code, calls = self.play(["nginx"], "{} ; echo $? > {}".format(self.policy, held))
        self.assertEqual(code, 0)
        self.assertEqual(held.read_text(), "101\n")
        self.assertFalse(self.policy.exists())
        self.assertEqual(calls[-1], "systemctl disable nginx")

    def test_a_policy_that_was_there_stays(self):
        self.policy.write_text("#!/bin/sh\nexit 0\n")
        self.play(["nginx"], "")
        self.assertEqual(self.policy.read_text(), "#!/bin/sh\nexit 0\n")

    def test_the_lists_are_read_only_when_they_are_needed(self):
        _, calls = self.play(["wrk"], "")
        self.assertEqual([call.split()[1] for call in calls], ["install"])

    def test_the_lists_are_read_when_the_first_try_fails(self):
        mark = self.folder / "updated"
        body = 'case $1 in update) touch {0};; install) test -e {0};; esac'.format(mark)
        code, calls = self.play(["wrk"], body)
        self.assertEqual(code, 0)
        self.assertEqual([call.split()[1] for call in calls], ["install", "update", "install"])

    def test_a_failure_is_told_and_nothing_stays_behind(self):
        code, _ = self.play(["nginx"], "exit 100")
        self.assertNotEqual(code, 0)
        self.assertFalse(self.policy.exists())


if __name__ == "__main__":
    unittest.main()
