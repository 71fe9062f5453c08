// Two queues of customers, one clerk who serves whoever is there, and closes when nobody comes any more.
import MartletQueues

let orders = Queue<String>(capacity: 10)
let returns = Queue<Int>(capacity: 10)

func customers() async throws {
  for book in ["Dune", "Emma", "Momo"] { try await orders.put(book) }
  for number in 1...2 { try await returns.put(number) }
  orders.close()
  returns.close()
}

func clerk() async throws {
  do {
    while true {
      let line = try await select(
        .take(from: orders) { "sold \($0)" },
        .take(from: returns) { "took number \($0) back" },
        within: .seconds(60)
      )
      print(line)
    }
  } catch QueueFailure.closed {
    print("closed")
  }
}

async let coming: Void = customers()
try await clerk()
try await coming
