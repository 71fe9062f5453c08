public import Directives

// The form in which changes are kept and handed on.

extension RuntimeChanges {
  /// The version of the form.
  private static let version = 1

  /// The changes as JSON.
  public var json: JSONValue {
    .object(["version": .number(Self.version), "upstreams": .list(upstreams.map(\.json))])
  }

  /// Reads what ``json`` gave; nil when it is anything else, or of another version.
  public init?(_ json: JSONValue) {
    guard json["version"]?.number == Self.version, let list = json["upstreams"]?.list else {
      return nil
    }
    self.init()
    for value in list {
      guard let upstream = Upstream(value) else { continue }
      self[upstream.name] = upstream
    }
    guard entryCount <= Self.entryLimit else { return nil }
  }
}

extension RuntimeChanges.Upstream {
  /// The difference as JSON: what is not different is left out.
  public var json: JSONValue {
    var members = [JSONValue.Member("name", .text(name))]
    if let added { members.append(JSONValue.Member("added", .text(added.text))) }
    if isRemoved { members.append(JSONValue.Member("removed", .flag(true))) }
    if let mode { members.append(JSONValue.Member("mode", .text(mode.rawValue))) }
    if !self.members.isEmpty {
      members.append(JSONValue.Member("members", .list(self.members.map(\.json))))
    }
    return .object(members)
  }

  init?(_ json: JSONValue) {
    guard let name = json["name"]?.text else { return nil }
    self.init(name)
    if let lines = json["added"]?.text {
      do throws(ChangeError) {
        added = try RuntimeChanges.Added<UpstreamSettings>(name, lines: lines)
      } catch { return nil }
    }
    isRemoved = json["removed"]?.flag ?? false
    if let text = json["mode"]?.text {
      guard let mode = MemberMode(rawValue: text) else { return nil }
      self.mode = mode
    }
    for value in json["members"]?.list ?? [] {
      // What an earlier version took may be wrong by now; the rest holds all the same.
      guard let member = RuntimeChanges.Member(value) else { continue }
      self[member.address] = member
    }
  }
}

extension RuntimeChanges.Member {
  /// The difference as JSON: what is not different is left out.
  public var json: JSONValue {
    var members = [JSONValue.Member("address", .text(address.description))]
    if let added { members.append(JSONValue.Member("added", .text(added.text))) }
    if isRemoved { members.append(JSONValue.Member("removed", .flag(true))) }
    if let weight { members.append(JSONValue.Member("weight", .number(weight))) }
    if let mode { members.append(JSONValue.Member("mode", .text(mode.rawValue))) }
    return .object(members)
  }

  init?(_ json: JSONValue) {
    guard let text = json["address"]?.text else { return nil }
    do throws(ValueError) { self.init(try Address(text)) } catch { return nil }
    if let line = json["added"]?.text {
      do throws(ChangeError) { added = try RuntimeChanges.Added<MemberSettings>(line: line) } catch
      { return nil }
    }
    isRemoved = json["removed"]?.flag ?? false
    weight = json["weight"]?.number
    if let text = json["mode"]?.text {
      guard let mode = MemberMode(rawValue: text) else { return nil }
      self.mode = mode
    }
  }
}
