import JSON

/// What a message costs by the number of idle connections, for several models.
struct LoopCurves {
  /// One model.
  struct Curve {
    let name: String
    /// Nanoseconds for each of ``LoopCurves/idleCounts``; nil: it does not go so far.
    var costs: [Double?]
    /// Why it does not.
    var problem: String?
  }

  let activeCount: Int
  let idleCounts: [Int]
  var curves: [Curve]

  // MARK: Text

  /// A table, and the curves drawn in characters.
  var text: String { table + "\n" + drawing + notes }

  private var table: String {
    let rows = idleCounts.indices.map { place in
      JSONValue.object(
        [JSONValue.Member("idle", .number(idleCounts[place]))]
          + curves.map { JSONValue.Member($0.name, .text(Self.microseconds($0.costs[place]))) }
      )
    }
    let columns = curves.map { TextTable.Column($0.name, isNumber: true) }
    return "microseconds of processor time a message, \(activeCount) connections busy\n"
      + TextTable(rows, [TextTable.Column("idle", isNumber: true)] + columns).text
  }

  private static func microseconds(_ nanoseconds: Double?) -> String {
    guard let nanoseconds else { return "-" }
    let hundredths = Int((nanoseconds / 10).rounded())
    let rest = hundredths % 100
    return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
  }

  private static let height = 12
  private static let step = 12

  /// Each model by a letter, at the height of the logarithm of what it costs.
  private var drawing: String {
    guard let (least, most) = bounds else { return "" }
    var lines = Array(
      repeating: Array(repeating: Character(" "), count: idleCounts.count * Self.step),
      count: Self.height
    )
    for (letter, curve) in zip(letters, curves) {
      for (place, cost) in curve.costs.enumerated() {
        guard let cost else { continue }
        let share = share(of: cost, between: least, most)
        let row = Self.height - 1 - Int((share * Double(Self.height - 1)).rounded())
        // Those that cost the same stand side by side.
        var column = place * Self.step + 2
        while lines[row][column] != " ", column < (place + 1) * Self.step - 1 { column += 1 }
        lines[row][column] = letter
      }
    }
    let labels = [0: most, Self.height - 1: least]
    let drawn = lines.enumerated().map { row, line in
      let label = labels[row].map { Self.microseconds($0) } ?? ""
      return String(repeating: " ", count: max(0, 9 - label.count)) + label + " |" + String(line)
    }
    let axis = idleCounts.map { count in
      let text = "  \(count)"
      return text + String(repeating: " ", count: max(0, Self.step - text.count))
    }
    let legend = zip(letters, curves).map { "\($0) \($1.name)" }.joined(separator: ", ")
    let all = ["       µs"] + drawn + [String(repeating: " ", count: 11) + axis.joined()]
    return (all + ["           idle connections; \(legend)"]).map { line in
      String(line.reversed().drop { $0 == " " }.reversed()) + "\n"
    }.joined()
  }

  private var letters: [Character] {
    var used: Set<Character> = []
    return curves.map { curve in
      let letter = curve.name.first { $0.isLetter && !used.contains($0) } ?? "?"
      used.insert(letter)
      return letter
    }
  }

  private var notes: String {
    curves.compactMap { curve in curve.problem.map { "\(curve.name): \($0)\n" } }.joined()
  }

  /// The least and the most that is known.
  private var bounds: (Double, Double)? {
    let all = curves.flatMap { $0.costs.compactMap(\.self) }
    guard let least = all.min(), let most = all.max() else { return nil }
    return (least, most)
  }

  /// How high a cost stands, from 0 to 1.
  private func share(of cost: Double, between least: Double, _ most: Double) -> Double {
    guard most > least else { return 0 }
    return (cost.logarithm - least.logarithm) / (most.logarithm - least.logarithm)
  }

  // MARK: JSON

  var json: JSONValue {
    .object([
      "active": .number(activeCount), "idle": .list(idleCounts.map { .number($0) }),
      "unit": .text("nanoseconds of processor time a message"),
      "models": .list(
        curves.map { curve in
          .object([
            "model": .text(curve.name),
            "costs": .list(curve.costs.map { $0.map { .real(($0 * 10).rounded() / 10) } ?? .null }),
            "problem": curve.problem.map { .text($0) } ?? .null,
          ])
        }
      ),
    ])
  }

  // MARK: SVG

  private static let colours = ["#0b7285", "#e8590c", "#5f3dc4", "#2b8a3e", "#c2255c", "#495057"]

  /// A drawing that browsers show.
  ///
  /// Scalable Vector Graphics (SVG) 1.1 of the W3C.
  var svg: String {
    let (width, height, left, top) = (640.0, 360.0, 70.0, 30.0)
    let (least, most) = bounds ?? (0, 1)
    func x(_ place: Int) -> Double {
      left + (width - left - 150) * Double(place) / Double(max(idleCounts.count - 1, 1))
    }
    func y(_ cost: Double) -> Double {
      top + (height - top - 50) * (1 - share(of: cost, between: least, most))
    }
    func text(_ x: Double, _ y: Double, _ anchor: String, _ words: String) -> String {
      "<text x=\"\(x.short)\" y=\"\(y.short)\" text-anchor=\"\(anchor)\">\(words)</text>\n"
    }
    var parts = """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 360" font-family="sans-serif" font-size="12">
      <rect width="640" height="360" fill="#fff"/>

      """
    parts += text(
      left,
      16,
      "start",
      "µs of processor time a message, \(activeCount) busy connections"
    )
    for (place, count) in idleCounts.enumerated() {
      parts += text(x(place), height - 26, "middle", "\(count)")
    }
    parts += text(x(0), height - 8, "start", "idle connections")
    for cost in Set([least, most]).sorted() {
      parts += text(left - 12, y(cost) + 4, "end", Self.microseconds(cost))
    }
    for (number, curve) in curves.enumerated() {
      let colour = Self.colours[number % Self.colours.count]
      let points = curve.costs.enumerated().compactMap { place, cost in
        cost.map { "\(x(place).short),\(y($0).short)" }
      }
      parts += "<polyline fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\" "
      parts += "points=\"\(points.joined(separator: " "))\"/>\n"
      let line = top + Double(number) * 18
      parts += "<g fill=\"\(colour)\">\(text(width - 120, line + 4, "start", curve.name))</g>\n"
    }
    return parts + "</svg>\n"
  }
}

extension Double {
  /// The logarithm to the base 2 of a positive number, straight between powers of 2.
  fileprivate var logarithm: Double { Double(exponent) + significand - 1 }

  /// With one digit behind the point.
  fileprivate var short: String {
    let tenths = Int((self * 10).rounded())
    return "\(tenths / 10).\(abs(tenths % 10))"
  }
}
