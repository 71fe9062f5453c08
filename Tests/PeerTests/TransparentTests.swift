import Foundation
import TestPeers
import Testing

/// Whether namespaces can be made here: who may not make one cannot test what needs several hosts.
private let canMakeHosts: Bool = {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
  process.arguments = ["--net", "ip", "link", "add", "one", "type", "veth", "peer", "name", "two"]
  process.standardError = FileHandle.nullDevice
  do { try process.run() } catch { return false }
  process.waitUntilExit()
  return process.terminationStatus == 0
}()

extension PeerTests {
  /// Martlet between hosts of its own.
  @Suite("Between hosts", .timeLimit(.minutes(5 * slowness))) struct TransparentTests {
    /// Three hosts in namespaces: a client, Martlet, and a member that says who has connected to it.
    private static let hosts = """
      import os, socket, subprocess, sys, time

      martlet, folder = sys.argv[1:3]
      os.mkdir(folder)
      children = []


      def host():
          '''A namespace of its own, held open by a process.'''
          child = subprocess.Popen(["unshare", "--net", "sleep", "300"])
          children.append(child)
          own = os.readlink("/proc/self/ns/net")
          while os.readlink(f"/proc/{child.pid}/ns/net") == own:
              if child.poll() is not None:
                  sys.exit("no namespace")
              time.sleep(0.01)
          return str(child.pid)


      def enter(at, *words):
          return ["nsenter", "--net", "--target", at, *words]


      def ip(at, words):
          subprocess.run(enter(at, "ip", *words.split()), check=True)


      def link(one, other, network, names):
          '''A cable between two hosts, which have the addresses 1 and 2 of the network.'''
          ip(one, f"link add {names[0]} type veth peer name {names[1]} netns {other}")
          for at, name, number in ((one, names[0], 1), (other, names[1], 2)):
              ip(at, f"address add {network}.{number}/24 dev {name}")
              ip(at, f"link set {name} up")


      MEMBER = '''
      import socket
      listener = socket.create_server(("10.8.0.2", 7001))
      print("listening", flush=True)
      while True:
          wire, peer = listener.accept()
          wire.sendall(peer[0].encode())
          wire.close()
      '''

      CLIENT = '''
      import socket, time
      for attempt in range(200):
          try:
              wire = socket.create_connection(("10.9.0.1", 7000), timeout=10)
              break
          except ConnectionRefusedError:
              time.sleep(0.05)
      said = b""
      while part := wire.recv(100):
          said += part
      print("seen", said.decode(), flush=True)
      '''

      try:
          client, edge, member = host(), host(), host()
          link(edge, client, "10.9.0", ("c0", "c1"))
          link(edge, member, "10.8.0", ("m0", "m1"))
          ip(member, "route add default via 10.8.0.1")
          ip(edge, "link set lo up")
          # What the member answers to the client's address is taken here.
          ip(edge, "rule add iif m0 lookup 100")
          ip(edge, "route add local default dev lo table 100")
          for name in ("all", "m0"):
              path = f"/proc/sys/net/ipv4/conf/{name}/rp_filter"
              subprocess.run(enter(edge, "sh", "-c", f"echo 0 > {path}"), check=True)
          server = subprocess.Popen(
              enter(member, sys.executable, "-c", MEMBER), stdout=subprocess.PIPE, text=True
          )
          children.append(server)
          server.stdout.readline()
          with open(f"{folder}/transparent.conf", "w") as file:
              file.write("tcp {\\n  listen 10.9.0.1:7000\\n  proxy 10.8.0.2:7001\\n  source transparent\\n}\\n")
          command = [martlet, "run", "--config", f"{folder}/transparent.conf"]
          command += ["--state-directory", f"{folder}/transparent"]
          children.append(subprocess.Popen(enter(edge, *command), stdout=subprocess.DEVNULL))
          done = subprocess.run(
              enter(client, sys.executable, "-c", CLIENT), stdout=subprocess.PIPE, text=True, timeout=30
          )
          print(done.stdout.strip(), flush=True)
      finally:
          for child in reversed(children):
              child.kill()
          for child in children:
              child.wait()
      """

    @Test(
      "`source transparent` shows members the address of their client",
      .enabled(if: canMakeHosts, "network namespaces cannot be made here: that needs root")
    )
    func transparent() async throws {
      try await Rig.run { rig in
        let program = try rig.write(Self.hosts, to: "hosts.py")
        let outcome = try rig.outcome(
          of: ["/usr/bin/python3", program, Rig.martletPath, rig.path("hosts")]
        )
        #expect(outcome.lines.contains("seen 10.9.0.2"), "\(outcome.lines)")
      }
    }
  }
}
