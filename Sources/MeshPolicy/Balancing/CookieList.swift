import MeshCore

/// The value of a `Cookie` field (RFC 6265, section 4.2.1).
enum CookieList {
  /// Calls `body` with the name and the value of each cookie, quotes around the value left out.
  @inline(__always)
  static func forEach(
    _ list: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
  ) {
    var start = 0
    while start < list.count {
      var end = start
      while end < list.count, list[end] != UInt8(ascii: ";") { end &+= 1 }
      while start < end, list[start] == UInt8(ascii: " ") { start &+= 1 }
      var equals = start
      while equals < end, list[equals] != UInt8(ascii: "=") { equals &+= 1 }
      if equals < end {
        body(list.slice(start, equals &- start), unquoted(list.slice(equals &+ 1, end &- equals &- 1)))
      }
      start = end &+ 1
    }
  }

  private static func unquoted(_ value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    let quote = UInt8(ascii: "\"")
    guard value.count >= 2, value[0] == quote, value[value.count - 1] == quote else { return value }
    return value.slice(1, value.count - 2)
  }
}
