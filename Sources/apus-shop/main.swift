import Glibc

// The demo's services in one program: apus-shop ROLE [OPTIONS]. Each listens on the workload's own address.

signal(SIGPIPE, SIG_IGN)
do {
  let options = try ShopOptions(arguments: Array(CommandLine.arguments.dropFirst()))
  try await Shop(options).run()
} catch let failure as ShopFailure {
  printLine("apus-shop: \(failure.message)", to: STDERR_FILENO)
  exit(failure.isUsage ? 64 : 1)
} catch {
  printLine("apus-shop: \(error)", to: STDERR_FILENO)
  exit(1)
}
