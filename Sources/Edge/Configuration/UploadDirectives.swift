import Directives

private let uploadOptions: [WordOption<UploadSettings>] = [
  .value("size", \.byteCount, uploadSizes),
  .value("age", \.age, uploadAges),
  .value("count", \.count, .count(within: 1...10_000)),
]

private let uploadSizes = ValueKind<Int>.size(within: 1...1 << 40)
private let uploadAges = ValueKind<Duration>.duration(within: .seconds(60) ... .seconds(2_592_000))

/// The directive of files about uploads that go on after an interruption.
let uploadsDirective = Directive<FilesSettings>(
  "resumable",
  form: "on|off " + uploadOptions.map(\.form).joined(separator: " "),
  bounds: "size 1B to 1024GB, age 1m to 30d, count 1 to 10000",
  words: ["on", "off"] + uploadOptions.map(\.name),
  defaultText: "off",
  "Whether clients may go on with uploads after an interruption, or send a file in parts. One may have `size` (1GB), is "
    + "kept for `age` (1d), and there may be `count` (100) that are not complete.",
  example: "resumable on size 10GB age 7d",
  read: { statement, settings, reading in
    let example = "resumable on size 10GB"
    guard let word = statement.arguments.first else {
      return reading.lacksValue(statement, example: example)
    }
    guard let isOn = reading.value(of: word, .flag, in: statement, example: example) else { return }
    guard isOn else {
      settings.uploads = nil
      return reading.refuseWords(of: statement, from: 1, example: "resumable off")
    }
    var uploads = UploadSettings()
    reading.options(of: statement, from: 1, uploadOptions, into: &uploads, example: example)
    settings.uploads = uploads
  },
  show: { settings, mask in
    guard let uploads = settings.uploads else { return .flag(false) }
    return .object([
      JSONValue.Member("size", uploadSizes.json(uploads.byteCount, mask)),
      JSONValue.Member("age", uploadAges.json(uploads.age, mask)),
      JSONValue.Member("count", .number(uploads.count)),
    ])
  }
)
