import Configuration
public import HTTPMessage
import JSON
import MartletBytes
public import MartletSystem

/// What is in a folder, as it is shown.
public struct FolderListing: Sendable {
  /// One file or folder.
  public struct Item: Hashable, Sendable {
    /// Its name.
    public var name: String
    /// Whether it is a folder.
    public var isFolder: Bool
    /// How many bytes a file has.
    public var byteCount: Int64
    /// When it was changed, in seconds since 1970.
    public var modifiedSeconds: Int64

    /// Creates an item.
    public init(name: String, isFolder: Bool, byteCount: Int64, modifiedSeconds: Int64) {
      self.name = name
      self.isFolder = isFolder
      self.byteCount = byteCount
      self.modifiedSeconds = modifiedSeconds
    }
  }

  /// By what items are put in order; folders come first always.
  public enum Order: String, Hashable, Sendable, CaseIterable {
    case name, size, time
  }

  /// The path of the folder below the root, decoded: names with slashes between them.
  public let path: String
  /// What is in it.
  public private(set) var items: [Item]
  /// Whether there is more than is shown.
  public let isCut: Bool
  /// By what the items are in order.
  public private(set) var order = Order.name
  /// Whether the largest comes first.
  public private(set) var isDescending = false

  /// The most items that are shown.
  public static let itemCount = 10_000

  /// Creates a listing in the order of names.
  public init(path: String, items: [Item], isCut: Bool = false) {
    self.path = path
    self.items = items
    self.isCut = isCut
    sort(by: .name, isDescending: false)
  }

  /// Reads a folder; what no request could name, or may not, is left out.
  ///
  /// It takes a call to the kernel for each item, so it is not for a loop.
  ///
  /// - Throws: ``MartletSystem/SystemError``.
  public static func read(
    _ path: RelativePath,
    by rules: FileRules
  ) throws(SystemError) -> FolderListing {
    let root = try Folder(rules.settings.root)
    let folder = try root.open(path.bytes, links: rules.links)
    let names = try folder.names(limit: itemCount + 1)
    var items: [Item] = []
    for bytes in names.prefix(itemCount) {
      guard
        bytes.first != 0x2E || rules.settings.showsHidden && !RelativePath.isUnfinished(bytes[...]),
        let name = String(validating: bytes, as: UTF8.self),
        bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != 0x5C }),
        let facts = facts(of: path.appending(bytes), root, rules)
      else { continue }
      items.append(
        Item(
          name: name,
          isFolder: facts.kind == .folder,
          byteCount: facts.byteCount,
          modifiedSeconds: facts.modifiedNanoseconds / 1_000_000_000
        )
      )
    }
    return FolderListing(
      path: String(decoding: path.bytes, as: UTF8.self),
      items: items,
      isCut: names.count > itemCount
    )
  }

  /// What is known of a file that would be served; nil: it would not.
  private static func facts(
    of path: RelativePath,
    _ root: borrowing Folder,
    _ rules: FileRules
  ) -> FileFacts? {
    do throws(SystemError) {
      var facts = try root.facts(of: path.bytes, follows: false)
      if facts.kind == .link {
        facts = try root.open(path.bytes, links: rules.links).facts()
      }
      return facts.kind == .regular || facts.kind == .folder ? facts : nil
    } catch {
      return nil
    }
  }

  /// Puts the items in order.
  public mutating func sort(by order: Order, isDescending: Bool) {
    self.order = order
    self.isDescending = isDescending
    let folded = items.map { ($0, $0.name.lowercased()) }
    items = folded.sorted { left, right in
      if left.0.isFolder != right.0.isFolder { return left.0.isFolder }
      let (first, second) = isDescending ? (right, left) : (left, right)
      switch order {
      case .size where first.0.byteCount != second.0.byteCount && !first.0.isFolder:
        return first.0.byteCount < second.0.byteCount
      case .time where first.0.modifiedSeconds != second.0.modifiedSeconds:
        return first.0.modifiedSeconds < second.0.modifiedSeconds
      default: return (first.1, first.0.name) < (second.1, second.0.name)
      }
    }.map(\.0)
  }

  /// The listing for programs: a list of objects.
  public var json: String {
    JSONValue.list(
      items.map { item in
        var members = [
          JSONValue.Member("name", .text(item.name)),
          JSONValue.Member("type", .text(item.isFolder ? "directory" : "file")),
          JSONValue.Member(
            "modified",
            .text(Self.time(item.modifiedSeconds, separator: "T") + ":00Z")
          ),
        ]
        if !item.isFolder { members.append(JSONValue.Member("size", .number(Int(item.byteCount)))) }
        return .object(members)
      }
    ).formatted() + "\n"
  }

  /// `2026-11-21 20:53`, in Greenwich time.
  static func time(_ seconds: Int64, separator: String = " ") -> String {
    // `Sat, 21 Nov 2026 20:53:00 GMT`.
    let text = HTTPDate(secondsSince1970: seconds).text
    let bytes = Array(copying: text.bytes)
    func part(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
    let names = [
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    let month = (names.firstIndex(of: part(8..<11)) ?? 0) + 1
    let digits = month < 10 ? "0\(month)" : "\(month)"
    return "\(part(12..<16))-\(digits)-\(part(5..<7))\(separator)\(part(17..<22))"
  }
}

extension FolderListing {
  /// What a request wants to see of a folder: the parameters `sort`, `order` and `format` of its query, and
  /// what it accepts.
  public struct Wish: Hashable, Sendable {
    /// By what the items are put in order.
    public var order = Order.name
    /// Whether the largest comes first.
    public var isDescending = false
    /// Whether it is to be JSON.
    public var isJSON = false

    /// Reads the wish of a request.
    ///
    /// - Complexity: O(*n*) in the query and the fields.
    public init(_ request: RequestHead, in bytes: Span<UInt8>) {
      let text = Array(copying: bytes.extracting(request.query.range))
      for parameter in text.split(separator: 0x26) {
        switch String(decoding: parameter, as: UTF8.self) {
        case "sort=size": order = .size
        case "sort=time": order = .time
        case "sort=name": order = .name
        case "order=desc": isDescending = true
        case "format=json": isJSON = true
        default: break
        }
      }
      var weights = (page: 0, json: 0)
      var accepts = false
      for line in request.fields where line.name == .accept {
        accepts = true
        var elements = ListElements(line.valueRange.range)
        while let element = elements.next(in: bytes) {
          let weighted = WeightedElement(bytes, element)
          var name: [UInt8] = []
          for index in weighted.name { name.append(bytes[index] | 0x20) }
          let weight = weighted.weight ?? 0
          switch String(decoding: name, as: UTF8.self) {
          case "text/html", "text/*", "*/*": weights.page = max(weights.page, weight)
          case "application/json", "application/*": weights.json = max(weights.json, weight)
          default: break
          }
        }
      }
      if accepts, weights.json > weights.page { isJSON = true }
    }
  }
}
