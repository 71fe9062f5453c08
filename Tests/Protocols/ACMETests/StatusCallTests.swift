import ACME
import Testing

@Suite("Questions about certificates, as HTTP says them")
struct StatusCallTests {
  private func question(
    _ method: String,
    _ path: String,
    type: String = ACMECall.statusQuestionType,
    body: [UInt8] = []
  ) throws -> [UInt8] {
    let call = ACMECall(method, base: "", path: path, contentType: type, body: body)
    #expect(call.asksStatus)
    return try call.statusQuestion()
  }

  @Test("stand in the body of a POST")
  func posted() throws {
    #expect(try question("POST", "/ocsp", body: [1, 2, 3]) == [1, 2, 3])
    #expect(try question("POST", "/ocsp/", type: "Application/OCSP-Request", body: [1]) == [1])
  }

  @Test(
    "stand in the path of a GET, with numbers for what a path does not have, or without",
    arguments: [
      ("+/8=", [0xFB, 0xFF]), ("%2B%2F8%3D", [0xFB, 0xFF]), ("%2b/8%3d", [0xFB, 0xFF]),
      ("AAAA", [0, 0, 0]), ("+/8", [0xFB, 0xFF]),
    ] as [(String, [UInt8])]
  )
  func inPath(text: String, bytes: [UInt8]) throws {
    #expect(try question("GET", "/ocsp/\(text)") == bytes)
    #expect(try question("HEAD", "/ocsp/\(text)") == bytes)
  }

  @Test(
    "are refused when they are not in form",
    arguments: [
      ("GET", "/ocsp", 400), ("GET", "/ocsp/", 400), ("GET", "/ocsp/%", 400),
      ("GET", "/ocsp/A%4", 400), ("GET", "/ocsp/%GG", 400), ("GET", "/ocsp/A", 400),
      ("GET", "/ocsp/AA*A", 400), ("PUT", "/ocsp", 405), ("POST", "/ocsp/AAAA", 405),
    ]
  )
  func refused(method: String, path: String, status: Int) {
    let call = ACMECall(
      method,
      base: "",
      path: path,
      contentType: ACMECall.statusQuestionType
    )
    let problem = #expect(throws: ACMEProblem.self) { try call.statusQuestion() }
    #expect(problem?.status == status)
  }

  @Test("are of one media type")
  func kind() {
    let call = ACMECall("POST", base: "", path: "/ocsp", contentType: "text/plain", body: [1])
    let problem = #expect(throws: ACMEProblem.self) { try call.statusQuestion() }
    #expect(problem?.status == 415)
  }

  @Test("are nothing else", arguments: ["/ocspx", "/crl", "/directory", ""])
  func others(path: String) { #expect(!ACMECall("GET", base: "", path: path).asksStatus) }
}
