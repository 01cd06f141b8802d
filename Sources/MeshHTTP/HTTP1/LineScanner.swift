/// Finds CRLF line ends in a growing section of input and remembers how far it looked.
///
/// Offsets count from the section's first byte; the section stays in the input until it is complete. A byte is looked
/// at
/// once as part of a line, however small the pieces it arrives in.
struct LineScanner {
  enum Result: Equatable {
    /// The window holds no line end yet.
    case incomplete
    /// The current line is `lineStart..<end`; `end` is its CR. It holds no control byte but tabs.
    case line(end: Int)
    case failure(HTTP1Error)
  }

  private(set) var lineStart = 0
  private var scanned = 0
  /// Bytes looked at since the connection began. Tests hold it against the bytes fed.
  private(set) var bytesExamined = 0

  var isFresh: Bool { lineStart == 0 && scanned == 0 }

  mutating func restart() {
    lineStart = 0
    scanned = 0
  }

  /// Looks for the end of the current line within the first `window` bytes.
  @inline(__always)
  mutating func scan(_ bytes: UnsafeRawBufferPointer, window: Int) -> Result {
    var i = scanned
    defer { bytesExamined &+= i &- scanned &+ 1 }
    while true {
      i = bytes.firstControl(from: i, to: window)
      guard i < window else { return pause(at: i) }
      switch bytes[i] {
      case 0x09:
        i &+= 1
      case 0x0D:
        guard i &+ 1 < window else { return pause(at: i) }
        return bytes[i &+ 1] == 0x0A ? .line(end: i) : .failure(.bareCarriageReturn)
      case 0x0A:
        return .failure(.bareLineFeed)
      default:
        return .failure(.controlByte)
      }
    }
  }

  /// Goes on to the line after the one that ended at `end`.
  @inline(__always)
  mutating func advance(past end: Int) {
    lineStart = end &+ 2
    scanned = lineStart
  }

  @inline(__always)
  private mutating func pause(at index: Int) -> Result {
    scanned = index
    return .incomplete
  }
}
