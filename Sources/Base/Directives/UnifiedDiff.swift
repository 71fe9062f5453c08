/// The difference of two texts in the form of `diff -u`.
public enum UnifiedDiff {
  private static let contextCount = 3

  /// The difference; empty for equal texts.
  ///
  /// - Complexity: O(*n d*) in the lines and those of them that are different.
  public static func text(from old: String, to new: String, named name: String) -> String {
    let before = lines(old)
    let after = lines(new)
    var marked: [(mark: Character, line: Substring)] = []
    let changes = after.difference(from: before)
    var removed: Set<Int> = []
    var inserted: Set<Int> = []
    for change in changes {
      switch change {
      case .remove(let offset, _, _): removed.insert(offset)
      case .insert(let offset, _, _): inserted.insert(offset)
      }
    }
    guard !changes.isEmpty else { return "" }
    var left = 0
    var right = 0
    while left < before.count || right < after.count {
      if removed.contains(left) {
        marked.append(("-", before[left]))
        left += 1
      } else if inserted.contains(right) {
        marked.append(("+", after[right]))
        right += 1
      } else {
        marked.append((" ", before[left]))
        left += 1
        right += 1
      }
    }
    return "--- \(name)\n+++ \(name)\n" + hunks(marked)
  }

  private static func lines(_ text: String) -> [Substring] {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    return lines
  }

  private static func hunks(_ marked: [(mark: Character, line: Substring)]) -> String {
    var text = ""
    var index = 0
    while let first = marked[index...].firstIndex(where: { $0.mark != " " }) {
      let start = max(index, first - contextCount)
      var end = first + 1
      // A hunk goes on while the next change is near enough to share its context.
      var quiet = 0
      while end < marked.count, quiet <= 2 * contextCount {
        quiet = marked[end].mark == " " ? quiet + 1 : 0
        end += 1
      }
      end = min(marked.count, end - max(0, quiet - contextCount))
      let part = marked[start..<end]
      text += head(marked[..<start], part) + part.map { "\($0.mark)\($0.line)\n" }.joined()
      index = end
    }
    return text
  }

  private static func head(
    _ earlier: ArraySlice<(mark: Character, line: Substring)>,
    _ part: ArraySlice<(mark: Character, line: Substring)>
  ) -> String {
    let sides: [Character] = ["+", "-"]
    let ranges = sides.map { other in
      let count = part.count { $0.mark != other }
      let before = earlier.count { $0.mark != other }
      return "\(count == 0 ? before : before + 1),\(count)"
    }
    return "@@ -\(ranges[0]) +\(ranges[1]) @@\n"
  }
}
