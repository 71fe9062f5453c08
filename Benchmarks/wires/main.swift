import Glibc

// Load for proxies of layer 4: both ends of every connection are in this one process, so that little
// is spent but on the bytes themselves.
//
//     wires MODE SERVER-PORT PROXY-PORT CONNECTIONS SECONDS BYTES
//
// `trips`: each client sends BYTES bytes, and the next ones when they have come back. `bulk`: the
// server sends in blocks of BYTES bytes without end, and the clients drop what they receive.

guard CommandLine.arguments.count == 7, let mode = Wires.Mode(rawValue: CommandLine.arguments[1]),
  let server = UInt16(CommandLine.arguments[2]), let proxy = UInt16(CommandLine.arguments[3]),
  let connections = Int(CommandLine.arguments[4]), let seconds = Double(CommandLine.arguments[5]),
  let bytes = Int(CommandLine.arguments[6]), (1...10_000).contains(connections),
  (0.1...600).contains(seconds), (1...1 << 20).contains(bytes)
else {
  explain("wires trips|bulk SERVER-PORT PROXY-PORT CONNECTIONS SECONDS BYTES")
}
let wires = Wires(mode: mode, server: server, proxy: proxy, bytes: bytes)
wires.open(connections)
wires.run(seconds)
print(wires.report)
