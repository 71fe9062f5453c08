let words = CommandLine.arguments.dropFirst().compactMap { UInt16($0) }
guard words.count == 2 else { explain("relay PORT SERVER") }
Relay(port: words[0], server: words[1]).run()
