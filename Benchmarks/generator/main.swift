import Glibc

// The kernel rounds sleeps up by 50 microseconds unless told otherwise: as much as a whole answer
// takes, and every request would start that late.
if let slack = fopen("/proc/self/timerslack_ns", "w") {
  fputs("1", slack)
  fclose(slack)
}

stopOnSignal()
switch Options.parse(CommandLine.arguments.dropFirst()) {
case .success(let options):
  let generator = Generator(options)
  generator.run()
  print(generator.report.json)
case .failure(let error):
  print("generator: \(error.sentence)")
  exit(2)
}
