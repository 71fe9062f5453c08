import HTTPCaching
import HTTPMessage
import Testing

@Suite("Whatever stands in the fields, the rules hold")
struct RandomTests {
  /// A text of random length from some letters.
  private func word(_ alphabet: String, upTo count: Int) -> String {
    let letters = Array(alphabet)
    return String((0..<Int.random(in: 0...count)).map { _ in letters.randomElement() ?? "a" })
  }

  @Test("well-formed directives mean what a naive reader sees, in any order, case and spacing")
  func naive() {
    let flags = [
      "no-store", "no-cache", "private", "public", "must-revalidate", "x", "y=z", "w=\"a,b\"",
    ]
    for _ in 0..<2000 {
      var chosen = flags.filter { _ in Bool.random() }
      let seconds = Int64.random(in: 0...5000)
      let hasAge = Bool.random()
      if hasAge { chosen.append("max-age=\(seconds)") }
      let spaces = ["", " ", "\t", "  "]
      let value = chosen.shuffled().map { each in
        let text = Bool.random() && !each.contains("\"") ? each.uppercased() : each
        return (spaces.randomElement() ?? "") + text + (spaces.randomElement() ?? "")
      }.joined(separator: [",", ",,", ", ,"].randomElement() ?? ",")
      let bytes = Array(value.utf8)
      let said = ResponseDirectives(bytes.span)
      #expect(said.isNoStore == chosen.contains("no-store"), "\(value)")
      #expect(said.isNoCache == chosen.contains("no-cache"), "\(value)")
      #expect(said.isPrivate == chosen.contains("private"), "\(value)")
      #expect(said.isPublic == chosen.contains("public"), "\(value)")
      #expect(said.isMustRevalidate == chosen.contains("must-revalidate"), "\(value)")
      #expect(said.maxAge == (hasAge ? seconds : nil), "\(value)")
    }
  }

  @Test("one value on two lines is what it is on one, wherever a comma cuts it")
  func split() {
    let parts = [
      "max-age=60", "no-cache=\"a, b\"", "private", "s-maxage=x", "stale-if-error=5", "x=\"\\\"\"",
    ]
    for _ in 0..<500 {
      let chosen = (0..<Int.random(in: 1...5)).map { _ in parts.randomElement() ?? "" }
      let cut = Int.random(in: 0...chosen.count)
      let whole = Answered(200, "Cache-Control: \(chosen.joined(separator: ", "))")
      let split = Answered(
        200,
        "Cache-Control: \(chosen[..<cut].joined(separator: ", "))",
        "A: b",
        "Cache-Control: \(chosen[cut...].joined(separator: ","))"
      )
      let one = ResponseDirectives(of: whole.head, in: whole.bytes.span, targets: [])
      let other = ResponseDirectives(of: split.head, in: split.bytes.span, targets: [])
      #expect(one.fieldLists.count == other.fieldLists.count)
      // Where the lists lie differs.
      #expect(one.describedWithoutLists == other.describedWithoutLists, "\(chosen) at \(cut)")
    }
  }

  private static let alphabet = "noqstaremxigcuplvd-=\"\\, \t0123456789:*@?();GMT/W%"

  private func fields() -> [String] {
    let names = [
      "Cache-Control", "CDN-Cache-Control", "Expires", "Date", "Age", "Last-Modified", "ETag",
      "Vary",
      "Content-Range", "Pragma",
    ]
    let values = [
      "max-age=60", "no-store", "private", "no-cache", "public", "s-maxage=5", "must-revalidate",
      "stale-while-revalidate=9", "stale-if-error=9", date(), date(-100), date(100), "\"a\"",
      "W/\"b\"",
      "5", "0", "Foo", "Accept-Encoding", "bytes 0-4/10", "no-cache=\"set-cookie\"",
    ]
    return (0..<Int.random(in: 0...6)).map { _ in
      let known =
        (values.randomElement() ?? "")
        + (Bool.random() ? "" : ", " + (values.randomElement() ?? ""))
      let value = Bool.random() ? known : word(Self.alphabet, upTo: 30)
      return "\(names.randomElement() ?? "A"): \(value)"
    }
  }

  @Test("what is stored grows old and never young again, and what is fresh is not forbidden")
  func ageing() {
    var policy = CachePolicy()
    policy.partial = .stored
    for _ in 0..<5000 {
      let sent = fields()
      let answer = Answered([200, 206, 301, 404, 500].randomElement() ?? 200, fields: sent)
      guard let terms = answer.terms(by: policy) else { continue }
      let said = ResponseDirectives(of: answer.head, in: answer.bytes.span, targets: policy.targets)
      #expect(!said.isPrivate && (!said.isNoStore || said.isMustUnderstand), "\(sent)")
      #expect(terms.initialAge >= 0 && terms.lifetime >= 0, "\(sent)")
      let request = Asked().cached()
      var wasFresh = true
      var age: Int64 = 0
      for seconds in [0, 1, 4.9, 5, 9, 14, 59.9, 60, 61, 100, 100_000] {
        let moment = later(seconds)
        #expect(terms.age(at: moment) >= age, "\(sent)")
        age = terms.age(at: moment)
        let reuse = terms.reuse(for: request, at: moment)
        #expect(wasFresh || reuse != .fresh, "\(sent)")
        wasFresh = reuse == .fresh
        if reuse == .fresh {
          #expect(!said.isNoCache && terms.isFresh(at: moment), "\(sent)")
          #expect(terms.timeToLive(at: moment) >= 0, "\(sent)")
        }
        if reuse == .staleWhileRevalidating {
          #expect(!said.isMustRevalidate && !said.isProxyRevalidate && !said.isNoCache, "\(sent)")
        }
        if !terms.hasValidator { #expect(reuse != .validate(.stale), "\(sent)") }
        // A client that asks for more gets no less care.
        let strict = Asked("Cache-Control: no-cache").cached()
        #expect(terms.reuse(for: strict, at: moment) != .fresh, "\(sent)")
        #expect(!terms.mayCover(.unreachable, for: strict, at: moment), "\(sent)")
      }
    }
  }

  @Test("a key depends on the named fields alone, and not on the lines between them")
  func keys() {
    let names = ["Accept-Encoding", "Accept-Language", "Cookie", "Foo", "Bar"]
    for _ in 0..<2000 {
      let named = names.filter { _ in Bool.random() }
      let answer = Answered(200, "Vary: \(named.shuffled().joined(separator: ", "))")
      guard
        case .names(let rule) = VaryRule.read(
          answer.head,
          in: answer.bytes.span,
          by: CachePolicy()
        )
      else {
        #expect(named.isEmpty)
        continue
      }
      let fields = names.filter { _ in Bool.random() }.map {
        "\($0): \(word("abgzipr*;q=0.15, \"", upTo: 14))"
      }
      func key(_ fields: [String]) -> [UInt8] {
        let request = Asked(fields: fields)
        var key: [UInt8] = []
        rule.appendKey(of: request.head, in: request.bytes.span, to: &key)
        return key
      }
      let first = key(fields)
      #expect(key(fields.shuffled()) == first)
      #expect(key(["Other: x"] + fields.flatMap { [$0, "More: y"] }) == first)
      let unnamed = fields.filter { field in !named.contains { field.hasPrefix($0 + ":") } }
      #expect(key(fields.filter { !unnamed.contains($0) }) == first)
      #expect(VaryRule(encoded: rule.encoded.span) == rule)
    }
  }

  @Test("a reference is resolved to a path of the origin, or to nothing")
  func references() {
    for _ in 0..<5000 {
      let reference = word("/.?#:ab%http//example.com", upTo: 20)
      let request = Asked(method: "POST")
      let response = Answered(201, "Location: \(reference)")
      let targets = Invalidation.targets(
        of: response.head,
        in: response.bytes.span,
        to: request.head,
        in: request.bytes.span,
        scheme: .http
      )
      for target in targets {
        #expect(target.first == 0x2F, "\(reference)")
        let path = target.prefix { $0 != 0x3F }
        let segments = path.split(separator: 0x2F, omittingEmptySubsequences: false)
        #expect(!segments.contains([0x2E]) && !segments.contains([0x2E, 0x2E]), "\(reference)")
        #expect(!target.contains(0x23), "\(reference)")
      }
    }
  }
}

extension ResponseDirectives {
  /// All but where the lists lie.
  fileprivate var describedWithoutLists: String {
    let flags = [isNoStore, isNoCache, isPrivate, isPublic, isMustRevalidate, isProxyRevalidate]
    let times = [maxAge, sharedMaxAge, staleIfError, staleWhileRevalidate]
    return "\(flags) \(times)"
  }
}
