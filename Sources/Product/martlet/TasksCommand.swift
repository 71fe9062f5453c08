import ArgumentParser
import JSON
import Supervision

/// `martlet tasks`.
struct TasksCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tasks",
    abstract:
      "Tell what the coroutines of the edge process do: each, what it waits for, since when.",
    discussion: """
      A connection that waits for its client or for a member without a coroutine is not shown: see \
      `martlet connection list`.
      """
  )

  @Option(name: .long, help: ArgumentHelp("Only those of this name.", valueName: "name"))
  var name: String?

  @Option(name: .long, help: ArgumentHelp("The most that are told.", valueName: "number"))
  var limit = 100

  @Flag(name: .long, help: "Print one JSON object.") var json = false
  @OptionGroup var instance: InstanceOptions

  func run() throws {
    var arguments = [JSONValue.Member("limit", .number(limit))]
    if let name { arguments.append(JSONValue.Member("name", .text(name))) }
    let client = ControlClient(try instance.directory())
    let result = try client.call("task.list", .object(arguments))
    if json { return Console.say(result.formatted()) }
    let tasks = result["tasks"]?.list ?? []
    Console.sayText(TextTable(tasks, Self.columns).text)
    if let count = result["count"]?.number, count > tasks.count {
      Console.complain("there are \(count): --limit \(min(count, 1000)) tells more")
    }
  }

  private static let columns = [
    TextTable.Column("task"), TextTable.Column("name"),
    TextTable.Column("waits_for", title: "waits for"),
    TextTable.Column("descriptor", title: "fd", isNumber: true),
    TextTable.Column("waited_seconds", title: "for s", isNumber: true),
    TextTable.Column("limit_seconds", title: "at most s", isNumber: true),
    TextTable.Column("age_seconds", title: "age s", isNumber: true),
    TextTable.Column("subject"),
  ]
}
