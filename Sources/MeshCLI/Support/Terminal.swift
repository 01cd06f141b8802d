internal import Glibc

/// Our voice: messages for people on standard error, data on standard output.
package enum Terminal {
  /// Writes `apus: message` to standard error in one write, so that lines of several processes do not mix.
  package static func say(_ message: String) {
    write("apus: \(message)\n", to: STDERR_FILENO)
  }

  package static func print(_ text: String) {
    write(text.hasSuffix("\n") ? text : text + "\n", to: STDOUT_FILENO)
  }

  package static func write(_ text: String, to descriptor: Int32) {
    var text = text
    text.withUTF8 { bytes in
      var rest = UnsafeRawBufferPointer(bytes)
      while !rest.isEmpty {
        let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
        if count < 0, errno == EINTR || errno == EAGAIN { continue }
        if count <= 0 { return }
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      }
    }
  }

  package static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

  /// Colour only for people: a terminal, and neither NO_COLOR nor TERM=dumb.
  package static var hasColor: Bool {
    isTerminal(STDOUT_FILENO) && getenv("NO_COLOR") == nil
      && getenv("TERM").map { String(cString: $0) != "dumb" } ?? false
  }
}

/// The three marks of a check list.
package enum Mark: String, Codable, Hashable, Sendable {
  case ok, warning, error

  package func text(color: Bool) -> String {
    switch (self, color) {
    case (.ok, false): "✔"
    case (.warning, false): "‼"
    case (.error, false): "✘"
    case (.ok, true): "\u{1B}[32m✔\u{1B}[0m"
    case (.warning, true): "\u{1B}[33m‼\u{1B}[0m"
    case (.error, true): "\u{1B}[31m✘\u{1B}[0m"
    }
  }
}
