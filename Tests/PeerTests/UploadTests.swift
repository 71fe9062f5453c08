import Foundation
import JSON
import TestPeers
import Testing

extension PeerTests {
  /// Uploads that go on after an interruption.
  @Suite("Resumable uploads", .timeLimit(.minutes(5 * slowness))) struct UploadTests {
    private func start(_ rig: Rig, _ options: String = "", route: String = "") throws -> Peer {
      try FileTests.start(
        rig,
        "allow put post delete\nresumable on \(options)",
        route: "body_limit 10MB\n\(route)"
      )
    }

    private func ask(
      _ wire: Wire,
      _ method: String,
      _ target: String,
      _ body: [UInt8]? = nil,
      _ fields: String...
    ) throws -> Answer {
      let length = body.map { ["Content-Length: \($0.count)"] } ?? []
      let lines = ["\(method) \(target) HTTP/1.1", "Host: a"] + fields + length
      try wire.send(text: lines.joined(separator: "\r\n") + "\r\n\r\n")
      if let body { try wire.send(body) }
      return try wire.receiveAnswer(isToHead: method == "HEAD")
    }

    /// The target of an upload that was begun, from the URL that its client was told.
    private func target(_ answer: Answer) throws -> String {
      let url = try #require(answer.fields["location"])
      #expect(url.hasPrefix("http://a/"))
      return String(url.dropFirst("http://a".count))
    }

    /// What is kept of uploads.
    private func kept(_ rig: Rig) throws -> [String] {
      let path = rig.path("www/.martlet-uploads")
      guard FileManager.default.fileExists(atPath: path) else { return [] }
      return try FileManager.default.contentsOfDirectory(atPath: path)
    }

    private static let part = "Content-Type: application/partial-upload"

    /// A field with the digest of bytes, as another program has computed it.
    private func digest(_ name: String, _ bytes: [UInt8], _ rig: Rig) throws -> String {
      let outcome = try rig.outcome(of: ["sha512sum", try rig.write(bytes, to: "digested")])
      let digits = try #require(outcome.lines.first?.split(separator: " ").first)
      let digest = stride(from: 0, to: digits.count, by: 2).map { place in
        UInt8(digits.dropFirst(place).prefix(2), radix: 16) ?? 0
      }
      return "\(name): md5=:YQ==:, sha-512=:\(Data(digest).base64EncodedString()):"
    }

    @Test("are refused whose digest is another one, and go on from before")
    func digests() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let bytes = Array(FileTests.large[..<200_000])
        let (first, second) = (Array(bytes[..<90_000]), Array(bytes[90_000...]))
        for name in ["Content-Digest", "Repr-Digest"] {
          let right = try digest(name, bytes, rig)
          // What is refused ends the connection.
          let wrong = try ask(Wire(to: martlet.endpoint), "PUT", "/css/a", first, right)
          #expect(wrong.status == 400)
          let wire = try Wire(to: martlet.endpoint)
          #expect(try ask(wire, "GET", "/css/a").status == 404)
          #expect(try ask(wire, "PUT", "/css/a", bytes, right).status == 201)
          #expect(try ask(wire, "GET", "/css/a").body == bytes)
          #expect(try ask(wire, "DELETE", "/css/a").status == 204)
        }
        let whole = try digest("Repr-Digest", bytes, rig)
        let begun = try ask(
          Wire(to: martlet.endpoint),
          "PUT",
          "/css/b",
          first,
          "Upload-Complete: ?0",
          whole,
          try digest("Content-Digest", first, rig)
        )
        #expect(begun.status == 201)
        let upload = try target(begun)
        let rest = ["Upload-Complete: ?1", "Upload-Offset: 90000", Self.part]
        func append(_ bytes: [UInt8], _ field: String) throws -> Answer {
          try ask(
            Wire(to: martlet.endpoint),
            "PATCH",
            upload,
            bytes,
            field,
            rest[0],
            rest[1],
            rest[2]
          )
        }
        #expect(try append(second, try digest("Content-Digest", first, rig)).status == 400)
        let state = try ask(Wire(to: martlet.endpoint), "HEAD", upload)
        #expect(state.fields["upload-offset"] == "90000")
        #expect(try append(second, try digest("Content-Digest", second, rig)).status == 201)
        #expect(try ask(Wire(to: martlet.endpoint), "GET", "/css/b").body == bytes)
        let other = try ask(
          Wire(to: martlet.endpoint),
          "PUT",
          "/css/c",
          first,
          "Upload-Complete: ?1",
          whole
        )
        #expect(other.status == 400 && other.fields["upload-complete"] == "?1")
        #expect(try ask(Wire(to: martlet.endpoint), "GET", "/css/c").status == 404)
      }
    }

    @Test("are told of while they come")
    func progress() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let wire = try Wire(to: martlet.endpoint)
        let bytes = [UInt8](repeating: 7, count: 9_500_000)
        let answer = try ask(wire, "PUT", "/css/a", bytes, "Upload-Complete: ?1")
        #expect(answer.status == 201 && answer.interim == [104, 104])
        let line = try #require(
          answer.interimHeads.last?.split(separator: "\r\n").first { $0.hasPrefix("Upload-Offset") }
        )
        let offset = try #require(Int(line.dropFirst("Upload-Offset: ".count)))
        #expect((8 << 20...9_500_000).contains(offset))
        // Clients of early drafts do not know that.
        let other = try ask(
          wire,
          "PUT",
          "/css/b",
          bytes,
          "Upload-Draft-Interop-Version: 4",
          "Upload-Complete: ?1"
        )
        #expect(other.status == 201 && other.interim == [104])
      }
    }

    @Test("come in parts, and are there when the last one has come")
    func parts() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let wire = try Wire(to: martlet.endpoint)
        let large = FileTests.large
        let first = try ask(
          wire,
          "POST",
          "/css/new",
          Array(large[..<1000]),
          "Upload-Complete: ?0",
          "Upload-Length: \(large.count)"
        )
        #expect(first.status == 201 && first.interim == [104])
        #expect(first.fields["upload-complete"] == "?0" && first.fields["upload-offset"] == "1000")
        let upload = try target(first)
        #expect(first.interimHeads[0].contains("Location: http://a\(upload)\r\n"))
        #expect(try ask(wire, "GET", "/css/new").status == 404)
        let second = try ask(
          wire,
          "PATCH",
          upload,
          Array(large[1000..<2_000_000]),
          "Upload-Complete: ?0",
          "Upload-Offset: 1000",
          Self.part
        )
        #expect(second.status == 204 && second.fields["upload-offset"] == "2000000")
        let state = try ask(wire, "HEAD", upload)
        #expect(state.status == 204 && state.fields["upload-complete"] == "?0")
        #expect(state.fields["upload-offset"] == "2000000")
        #expect(state.fields["upload-length"] == "\(large.count)")
        #expect(state.fields["cache-control"] == "no-store")
        #expect(state.fields["upload-limit"]?.contains("max-age=86") == true)
        let last = try ask(
          wire,
          "PATCH",
          upload,
          Array(large[2_000_000...]),
          "Upload-Complete: ?1",
          "Upload-Offset: 2000000",
          Self.part
        )
        #expect(last.status == 201 && last.fields["upload-complete"] == "?1")
        #expect(last.fields["upload-offset"] == "\(large.count)")
        let got = try ask(wire, "GET", "/css/new")
        #expect(got.body == large && got.fields["etag"] == last.fields["etag"])
        let done = try ask(wire, "HEAD", upload)
        #expect(done.fields["upload-complete"] == "?1")
        let more = try ask(
          try Wire(to: martlet.endpoint),
          "PATCH",
          upload,
          Array("x".utf8),
          "Upload-Complete: ?1",
          "Upload-Offset: \(large.count)",
          Self.part
        )
        #expect(more.status == 400 && more.text.contains("#completed-upload"))
      }
    }

    @Test("are told of: to who asks what may be done, and in the status")
    func told() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let wire = try Wire(to: martlet.endpoint)
        let options = try ask(wire, "OPTIONS", "/css/new")
        #expect(options.fields["accept-patch"] == "application/partial-upload")
        #expect(
          options.fields["upload-limit"]
            == "max-size=1073741824, max-append-size=10485760, max-age=86400"
        )
        let made = try ask(wire, "PUT", "/css/new", Array("x".utf8), "Upload-Complete: ?1")
        #expect(made.status == 201)
        #expect(try ask(wire, "GET", "/css/new").status == 200)
        let status = try rig.martlet(command: "status", "--json").lines.joined()
        #expect(status.contains("\"uploads\""))
        let text = try rig.martlet(command: "status").lines
        #expect(
          text.contains { $0.contains("routes 1, kept ") && $0.contains(", hits ") },
          "\(text)"
        )
        #expect(text.contains { $0.contains("open 0, bytes 0, limit 100") }, "\(text)")
      }
    }

    @Test(
      "come in one request, as others do, in each form that clients speak",
      arguments: [3, 6, 0]
    )
    func whole(version: Int) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let wire = try Wire(to: martlet.endpoint)
        let said = version == 3 ? "Upload-Incomplete: ?0" : "Upload-Complete: ?1"
        let number = version == 0 ? "X-None: 1" : "Upload-Draft-Interop-Version: \(version)"
        let answer = try ask(wire, "PUT", "/new", Array("hello".utf8), said, number)
        #expect(answer.status == 201 && answer.interim == [104])
        let interim = answer.interimHeads[0]
        #expect(interim.contains("Upload-Draft-Interop-Version: \(version)") == (version > 0))
        #expect(interim.contains("expires=") == (version == 3 || version == 6))
        #expect(answer.fields["upload-offset"] == "5" && answer.fields["etag"] != nil)
        #expect(answer.fields[version == 3 ? "upload-incomplete" : "upload-complete"] != nil)
        #expect(try ask(wire, "GET", "/new").text == "hello")
        // A file that is there is replaced by PUT, and not by POST.
        #expect(try ask(wire, "PUT", "/new", Array("other".utf8), said, number).status == 204)
        let made = try ask(
          try Wire(to: martlet.endpoint),
          "POST",
          "/new",
          Array("x".utf8),
          said,
          number
        )
        #expect(made.status == 409)
        #expect(try ask(wire, "GET", "/new").text == "other")
      }
    }

    /// A client that uploads a file as those of Apple do, and goes on where it was interrupted.
    private static let client = """
      import http.client, os, re, socket, sys
      port, path, kept, file, version, limit = (
          int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5], int(sys.argv[6]))
      data = open(file, "rb").read()
      old = version == "3"
      fields = {"Upload-Draft-Interop-Version": version}
      def said(complete):
          return {"Upload-Incomplete": "?0" if complete else "?1"} if old else {
              "Upload-Complete": "?1" if complete else "?0"}
      def send(method, target, body, more):
          # By hand, since http.client hides interim answers.
          wire = socket.create_connection(("127.0.0.1", port))
          lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
          lines += [f"{name}: {value}" for name, value in {**fields, **more}.items()]
          wire.sendall(("\\r\\n".join(lines) + "\\r\\n\\r\\n").encode())
          stream = wire.makefile("rb")
          def head():
              status = int(stream.readline().split()[1])
              found = {}
              while (line := stream.readline().strip()):
                  name, value = line.decode().split(": ", 1)
                  found[name.lower()] = value
              return status, found
          return wire, head
      if not os.path.exists(kept):
          wire, head = send("PUT", path, data, said(True))
          status, found = head()
          assert status == 104, status
          assert found["upload-draft-interop-version"] == version
          open(kept, "w").write(re.sub("^http://[^/]*", "", found["location"]))
          offset = 0
      else:
          target = open(kept).read()
          connection = http.client.HTTPConnection("127.0.0.1", port)
          connection.request("HEAD", target, headers=fields)
          answer = connection.getresponse()
          assert answer.status == 204, answer.status
          offset = int(answer.headers["upload-offset"])
          assert answer.headers["upload-incomplete" if old else "upload-complete"] == (
              "?1" if old else "?0")
          print("offset", offset, flush=True)
          more = {"Upload-Offset": offset, **said(True)}
          if not old: more["Content-Type"] = "application/partial-upload"
          wire, head = send("PATCH", target, data[offset:], more)
      end = min(len(data), offset + limit) if limit else len(data)
      wire.sendall(data[offset:end])
      if end < len(data):
          print("waits", flush=True)
          sys.stdin.read()
      status, found = head()
      while status < 200: status, found = head()
      print("done", status, found.get("upload-offset"), flush=True)
      """

    @Test(
      "go on after their client was killed, and after Martlet was too",
      arguments: ["3", "6"],
      [true, false]
    )
    func killed(version: String, killsMartlet: Bool) async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        guard case .port(let port) = martlet.endpoint else { throw PeerError("not a port") }
        let file = try rig.write(FileTests.large, to: "upload")
        let program = try rig.write(Self.client, to: "client.py")
        func client(_ limit: Int) throws -> Peer {
          try rig.start([
            "/usr/bin/python3", program, "\(port)", "/css/new", rig.path("kept"), file, version,
            "\(limit)",
          ])
        }
        var before = 0
        for _ in 0..<2 {
          let first = try client(1_000_000)
          try first.line(with: "waits")
          if killsMartlet { try killEdge(rig, martlet) }
          first.signal(SIGKILL)
          // What has come is there, whether or not its client is gone already.
          let wire = try Wire(to: martlet.endpoint)
          let target = String(decoding: try rig.read("kept"), as: UTF8.self)
          let state = try ask(wire, "HEAD", target, nil, "Upload-Draft-Interop-Version: \(version)")
          let offset = try #require(state.fields["upload-offset"].flatMap { Int($0) })
          #expect(offset >= before && offset <= before + 1_000_000)
          before = offset
        }
        let last = try client(0)
        #expect(try last.status() == 0)
        #expect(last.lines.contains("done 201 \(FileTests.large.count)"), "\(last.lines)")
        #expect(try rig.read("www/css/new") == FileTests.large)
        #expect(try kept(rig).count == 1)
      }
    }

    /// Kills the process that serves, and waits until another one does.
    private func killEdge(_ rig: Rig, _ martlet: Peer) throws {
      let status = try rig.martlet(command: "status", "--json").lines.joined(separator: "\n")
      let json = try JSONValue(parsing: Array(status.utf8))
      let edge = try #require(json["edges"]?.list?.first?["process"]?.number)
      kill(pid_t(edge), SIGKILL)
      let deadline = ContinuousClock.now + patience
      while true {
        let now = try rig.martlet(command: "status", "--json").lines.joined(separator: "\n")
        let edges = try JSONValue(parsing: Array(now.utf8))["edges"]?.list ?? []
        if let new = edges.last, new["process"]?.number != edge, new["state"]?.text == "serving" {
          return
        }
        guard ContinuousClock.now < deadline else { throw PeerError("no other edge: \(now)") }
      }
    }

    @Test("go on over HTTP/2, whose streams are reset in the middle")
    func http2() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let client = try HTTP2Client(to: martlet.endpoint)
        let stream = try client.open(
          "PUT /new HTTP/1.1\nHost: a\nUpload-Complete: ?1\nContent-Length: 100000",
          isLast: false
        )
        try client.send(String(repeating: "a", count: 40_000), on: stream)
        try client.receive { client.interim[stream]?.contains("104") == true }
        let told = try #require(client.interim[stream])
        let location = try #require(
          told.split(separator: "\r\n").first { $0.lowercased().hasPrefix("location: http://a/") }
        )
        let target = String(location.dropFirst("location: http://a".count))
        try client.reset(stream)
        let head = try client.open("HEAD \(target) HTTP/1.1\nHost: a")
        try client.receive { client.ended.contains(head) }
        let state = try #require(client.heads[head])
        let offset = try #require(
          state.split(separator: "\r\n").first { $0.lowercased().hasPrefix("upload-offset: ") }
            .flatMap { Int($0.dropFirst("upload-offset: ".count)) }
        )
        #expect((0...40_000).contains(offset))
        let rest = try client.open(
          "PATCH \(target) HTTP/1.1\nHost: a\nUpload-Complete: ?1\nUpload-Offset: \(offset)\n\(Self.part)",
          isLast: false
        )
        try client.send(String(repeating: "b", count: 100_000 - offset), on: rest, isLast: true)
        try client.receive { client.ended.contains(rest) }
        #expect(client.heads[rest]?.contains(" 201 ") == true)
        let stored = try rig.read("www/new")
        #expect(stored.count == 100_000 && stored.prefix(offset).allSatisfy { $0 == 0x61 })
      }
    }

    @Test("are refused where they do not go on, and what has come stays")
    func refused() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig)
        let wire = try Wire(to: martlet.endpoint)
        let first = try ask(wire, "PUT", "/a", Array("12345".utf8), "Upload-Complete: ?0")
        let upload = try target(first)
        func patch(_ body: String, _ fields: String...) throws -> Answer {
          let wire = try Wire(to: martlet.endpoint)
          let lines = ["PATCH \(upload) HTTP/1.1", "Host: a"] + fields
          try wire.send(
            text: lines.joined(separator: "\r\n")
              + "\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
          )
          return try wire.receiveAnswer()
        }
        let wrong = try patch("x", "Upload-Complete: ?0", "Upload-Offset: 4", Self.part)
        #expect(wrong.status == 409 && wrong.fields["upload-offset"] == "5")
        #expect(wrong.text.contains("\"expected-offset\": 5"))
        #expect(try patch("x", "Upload-Complete: ?0", Self.part).status == 400)
        #expect(try patch("x", "Upload-Offset: 5", Self.part).status == 400)
        #expect(try patch("x", "Upload-Complete: ?0", "Upload-Offset: 5").status == 415)
        let lengths = try patch(
          "x",
          "Upload-Complete: ?1",
          "Upload-Offset: 5",
          "Upload-Length: 9",
          Self.part
        )
        #expect(lengths.status == 400 && lengths.text.contains("#inconsistent-upload-length"))
        let unknown = try patch(
          "x",
          "Upload-Draft-Interop-Version: 99",
          "Upload-Complete: ?1",
          "Upload-Offset: 5"
        )
        #expect(unknown.status == 400)
        #expect(try ask(wire, "HEAD", upload).fields["upload-offset"] == "5")
        #expect(try ask(wire, "HEAD", "/b?upload=\(upload.suffix(32))").status == 404)
        #expect(try ask(wire, "HEAD", "/a?upload=x").status == 404)
        // A client that names an upload means it, and never the file.
        try rig.write("stays", to: "www/a")
        #expect(try ask(wire, "DELETE", "/a?upload=x").status == 404)
        let gone = try ask(wire, "DELETE", upload)
        #expect(gone.status == 204)
        #expect(try ask(wire, "HEAD", upload).status == 404)
        #expect(try rig.read("www/a") == Array("stays".utf8))
        #expect(try kept(rig).isEmpty)
        // What is kept of them is never served.
        let hidden = try ask(wire, "GET", "/.martlet-uploads/")
        #expect(hidden.status == 404)
      }
    }

    @Test("have their bounds: size, number, and a file that changes meanwhile")
    func bounds() async throws {
      try await Rig.run { rig in
        let martlet = try start(rig, "size 10B count 1 age 1h")
        let tooLong = try ask(
          try Wire(to: martlet.endpoint),
          "PUT",
          "/a",
          Array("x".utf8),
          "Upload-Complete: ?0",
          "Upload-Length: 11"
        )
        #expect(tooLong.status == 413)
        #expect(tooLong.fields["upload-limit"]?.hasPrefix("max-size=10,") == true)
        let wire = try Wire(to: martlet.endpoint)
        let first = try ask(wire, "PUT", "/ten.txt", Array("1234567".utf8), "Upload-Complete: ?0")
        let upload = try target(first)
        #expect(first.fields["upload-limit"]?.hasSuffix("max-age=3600") == true)
        // There is one already: a part has no place, and a whole is stored as others are.
        let part = try ask(
          try Wire(to: martlet.endpoint),
          "PUT",
          "/b",
          Array("x".utf8),
          "Upload-Complete: ?0"
        )
        #expect(part.status == 503 && part.fields["retry-after"] != nil)
        let whole = try ask(wire, "PUT", "/b", Array("whole".utf8), "Upload-Complete: ?1")
        #expect(whole.status == 201 && whole.interim.isEmpty)
        // Somebody else writes the file.
        #expect(try ask(wire, "PUT", "/ten.txt", Array("other".utf8)).status == 204)
        let late = try ask(
          wire,
          "PATCH",
          upload,
          Array("8".utf8),
          "Upload-Complete: ?1",
          "Upload-Offset: 7",
          Self.part
        )
        #expect(late.status == 412 && late.fields["upload-complete"] == "?1")
        #expect(try ask(try Wire(to: martlet.endpoint), "GET", "/ten.txt").text == "other")
        #expect(try kept(rig).isEmpty)
        // One that turns out to be too long goes.
        let second = try Wire(to: martlet.endpoint)
        try second.send(
          text:
            "PUT /c HTTP/1.1\r\nHost: a\r\nUpload-Complete: ?1\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "b\r\n01234567890\r\n0\r\n\r\n"
        )
        #expect(try second.receiveAnswer().status == 413)
        #expect(try kept(rig).isEmpty)
      }
    }

    @Test("are not offered where no directive says so")
    func off() async throws {
      try await Rig.run { rig in
        let martlet = try FileTests.start(rig, "allow put")
        let wire = try Wire(to: martlet.endpoint)
        let answer = try ask(wire, "PUT", "/a", Array("x".utf8), "Upload-Complete: ?1")
        #expect(answer.status == 201 && answer.interim.isEmpty)
        #expect(answer.fields["upload-complete"] == nil)
        #expect(try ask(wire, "OPTIONS", "/a").fields["accept-patch"] == nil)
        #expect(try ask(wire, "PATCH", "/a?upload=x", []).status == 405)
      }
    }
  }
}
