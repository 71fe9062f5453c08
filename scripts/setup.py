"""Checks that Swift is there and installs the Debian packages that a make target needs.

Usage: scripts/setup [run] [test] [bench] [browser]. A run that finds everything asks dpkg once and ends; only
a run that misses something calls apt-get, and it reads the package lists anew only when they are
missing or too old to install from.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

SWIFT = (6, 3)

# What each group of packages is for: (package, why).
GROUPS = {
    "run": [
        ("g++", "the C and C++ libraries that Swift links with"),
        ("make", "the targets"),
        ("libssl-dev", "OpenSSL, which seals cookies and speaks TLS"),
        ("zlib1g-dev", "zlib, which compresses by gzip"),
        ("libbrotli-dev", "brotli, which compresses"),
        ("libzstd-dev", "zstd, which compresses"),
    ],
    "test": [
        ("nginx", "a peer of the tests"),
        ("libnginx-mod-stream", "nginx for streams and datagrams"),
        ("dnsmasq-base", "a server of datagrams"),
        ("haproxy", "a peer of the tests"),
        ("redis-server", "a member of the tests"),
        ("etcd-server", "a keeper of locks"),
        ("redis-tools", "redis-cli, a client of the tests"),
        ("curl", "a client of the tests"),
        ("nghttp2-client", "h2load, a client of the tests"),
        ("nghttp2-server", "nghttpd, a member of the tests"),
        ("zstd", "a foreign reader of what was compressed"),
        ("python3-h2", "members and clients that speak HTTP/2"),
        ("python3-grpcio", "members and clients that speak gRPC"),
        ("openssl", "keys, certificates and a raw TLS client"),
        ("socat", "what files are sent by in a benchmark, whose parts are tested"),
        ("strace", "which ends a process at one of its calls"),
        ("ca-certificates", "the authorities of the machine, which trust is tested with"),
        ("certbot", "a client of our authority"),
        ("testssl.sh", "looks for weaknesses of TLS"),
        ("pebble", "an authority that gives certificates by ACME"),
        ("python3", "members, clients and the scripts' tests"),
        ("python3-websockets", "a WebSocket client and server"),
        ("python3-flask", "a framework whose application is run"),
        ("python3-django", "a framework whose application is run"),
        ("python3-starlette", "a framework whose application is run"),
        ("php-fpm", "a FastCGI server"),
        ("uwsgi-core", "a server of uwsgi, SCGI and FastCGI"),
        ("uwsgi-plugin-python3", "its Python"),
        ("varnish", "varnishtest, which runs the scenarios"),
        ("procps", "ps and pgrep"),
        ("iproute2", "hosts in network namespaces"),
        ("postgresql-15", "a member that is checked"),
        ("mariadb-server-core", "a member that is checked"),
    ],
    "bench": [
        ("nginx", "a peer that is measured against"),
        ("libnginx-mod-stream", "nginx at layer 4, which is measured against"),
        ("haproxy", "a peer that is measured against"),
        ("varnish", "a cache that is measured against"),
        ("h2o", "a server of HTTP/2 that is measured against"),
        ("gunicorn", "a server of applications that is measured against"),
        ("python3-flask", "a framework that is measured by itself and behind ours"),
        ("python3-django", "a framework that is measured by itself and behind ours"),
        ("uwsgi-core", "a server of applications that is measured against"),
        ("uwsgi-plugin-python3", "Python in uWSGI"),
        ("wrk", "the closed-loop load"),
        ("socat", "what files are sent by beside ours"),
        ("nghttp2-client", "h2load"),
        ("nghttp2-server", "nghttpd, the server of calls"),
        ("valgrind", "callgrind, which counts instructions"),
        ("apache2-utils", "ab, a load without keep-alive"),
        ("php-fpm", "the FastCGI server"),
    ],
    # 300 MB, for one test that is left out where it is not installed.
    "browser": [
        ("chromium-headless-shell", "a browser"),
        ("libnss3-tools", "certutil, which has the browser trust an authority"),
    ],
}

# Debian starts and enables these when they are installed; the tests only need the programs.
SERVICES = {
    "etcd-server": ["etcd"],
    "nginx": ["nginx"],
    "haproxy": ["haproxy"],
    "redis-server": ["redis-server"],
    "varnish": ["varnish", "varnishncsa"],
    "h2o": ["h2o"],
    "php-fpm": ["php8.2-fpm"],
    "postgresql-15": ["postgresql"],
}

POLICY = pathlib.Path("/usr/sbin/policy-rc.d")
SWIFT_MEND = (
    "Get Swift {}.{} or newer from https://www.swift.org/install/linux/ (Debian 12) and put its"
    " usr/bin folder on PATH.".format(*SWIFT)
)


class SetupError(Exception):
    """What is missing, and the mend."""


def say(text):
    print("set-up: " + text, flush=True)


def swift_version(text):
    """The version in the output of `swift --version`, or None."""
    found = re.search(r"Swift version (\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def check_swift(run=subprocess.run, which=shutil.which):
    """Raises unless a Swift that can build this package is on PATH; gives its version."""
    if which("swift") is None:
        raise SetupError("Swift is not on PATH. " + SWIFT_MEND)
    done = run(["swift", "--version"], capture_output=True, text=True)
    version = swift_version(done.stdout + done.stderr)
    if version is None:
        raise SetupError("`swift --version` does not tell a version. " + SWIFT_MEND)
    if version < SWIFT:
        raise SetupError("Swift {}.{} is too old. ".format(*version) + SWIFT_MEND)
    return version


def wanted(groups):
    """The packages of the groups, each once, in order, with the reason first given."""
    packages = {}
    for group in groups:
        if group not in GROUPS:
            raise SetupError(
                "there is no group {!r}; write one or more of: {}".format(group, ", ".join(GROUPS))
            )
        for name, why in GROUPS[group]:
            packages.setdefault(name, why)
    return packages


def installed(listing):
    """The packages that are installed, from dpkg-query's lines `NAME STATUS`."""
    rows = (line.split() for line in listing.splitlines())
    return {row[0] for row in rows if len(row) == 2 and row[1] == "installed"}


def missing(packages, run=subprocess.run, which=shutil.which):
    """Those of the packages that are not installed, by one call of dpkg-query."""
    if which("dpkg-query") is None or which("apt-get") is None:
        raise SetupError(
            "this machine has no apt-get. Martlet is built on Debian 12; elsewhere install by hand"
            " what these packages hold: " + " ".join(packages)
        )
    form = "${Package} ${db:Status-Status}\n"
    done = run(["dpkg-query", "--show", "--showformat=" + form, *packages],
               capture_output=True, text=True)
    there = installed(done.stdout)
    return [name for name in packages if name not in there]


def install_command(packages):
    """The command that a person would run."""
    return "apt-get install -y --no-install-recommends " + shlex.join(packages)


def as_root(command, uid, which=shutil.which):
    """The command with sudo in front where we are not root; raises when there is no way."""
    if uid == 0:
        return command
    if which("sudo") is None:
        raise SetupError(
            "packages are missing, and this user may not install them (not root, no sudo)."
        )
    return ["sudo", *command]


def install_script(packages, policy):
    """A script for root that installs without starting services, and leaves no trace of how."""
    command = (
        "DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends"
        " -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 " + shlex.join(packages)
    )
    lines = ["set -eu"]
    if not policy.exists():
        # Debian asks this file before it starts a service: 101 means "do not".
        path = shlex.quote(str(policy))
        lines += [
            "trap 'rm -f {}' EXIT; trap 'exit 1' HUP INT TERM".format(path),
            "printf '#!/bin/sh\\nexit 101\\n' > {0}; chmod 755 {0}".format(path),
        ]
    lines.append(
        "if ! {0}; then echo 'set-up: reading the package lists'; apt-get update -qq; {0}; fi"
        .format(command)
    )
    services = [service for name in packages for service in SERVICES.get(name, [])]
    if services:
        lines.append(
            "if command -v systemctl > /dev/null; then systemctl disable {} > /dev/null 2>&1"
            " || true; fi".format(" ".join(services))
        )
    return "\n".join(lines)


def install(packages, run=subprocess.run, which=shutil.which, uid=None, policy=POLICY):
    """Installs the packages, or raises with the command that would."""
    uid = os.geteuid() if uid is None else uid
    mend = " Run as root: apt-get update && " + install_command(packages)
    try:
        command = as_root(["sh", "-c", install_script(packages, policy)], uid, which)
    except SetupError as error:
        raise SetupError(str(error) + mend) from None
    if run(command, stdin=subprocess.DEVNULL).returncode != 0:
        raise SetupError("apt-get could not install " + " ".join(packages) + "." + mend)


def main(groups):
    try:
        packages = wanted(groups or ["run"])
        version = check_swift()
        lacking = missing(packages)
        if lacking:
            say("these Debian packages are missing:")
            for name in lacking:
                say("  {:<20} {}".format(name, packages[name]))
            say("installing them; their services are not started")
            install(lacking)
        say("Swift {}.{}; {} Debian packages are there".format(*version, len(packages)))
    except SetupError as error:
        print("set-up: error: {}".format(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
