let words = Array(CommandLine.arguments.dropFirst())
guard words.count == 4, let port = UInt16(words[0]), let count = Int(words[3]) else {
  explain("handshakes PORT CERTIFICATE KEY BODY-BYTES")
}
Server(port: port, certificate: words[1], key: words[2], bodyBytes: count).run()
