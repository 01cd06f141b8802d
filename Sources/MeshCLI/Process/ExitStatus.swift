/// How a program ended, and the exit code that says the same to our own caller.
package enum ExitStatus: Hashable, Sendable, CustomStringConvertible {
  case code(Int32)
  case signal(Int32)

  /// The program's code, or 128 + signal as shells count it.
  package var exitCode: Int32 {
    switch self {
    case .code(let code): code
    case .signal(let number): 128 + number
    }
  }

  package var description: String {
    switch self {
    case .code(let code): "exited with code \(code)"
    case .signal(let number): "was killed by \(SignalName.of(number))"
    }
  }
}

/// Signal numbers of Linux as people write them.
package enum SignalName {
  package static func of(_ number: Int32) -> String {
    switch number {
    case 1: "SIGHUP"
    case 2: "SIGINT"
    case 3: "SIGQUIT"
    case 4: "SIGILL"
    case 6: "SIGABRT"
    case 7: "SIGBUS"
    case 8: "SIGFPE"
    case 9: "SIGKILL"
    case 10: "SIGUSR1"
    case 11: "SIGSEGV"
    case 12: "SIGUSR2"
    case 13: "SIGPIPE"
    case 15: "SIGTERM"
    default: "signal \(number)"
    }
  }
}
